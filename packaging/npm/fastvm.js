#!/usr/bin/env node
// Starts the program of the package for this system, which npm chose from the optional dependencies.
"use strict";

const { spawn } = require("child_process");
const { constants } = require("os");

const system = `${process.platform}-${process.arch}`;
const file = process.platform === "win32" ? "fastvm.exe" : "fastvm";

let program;
try {
  program = require.resolve(`fastvm-${system}/bin/${file}`);
} catch {
  console.error(`fastvm: the package fastvm-${system} is missing: it is not made for this system, or npm left out optional dependencies`);
  process.exit(1);
}

// Signals of a terminal reach the program by themselves: it decides when to end. The others are passed on.
for (const signal of ["SIGINT", "SIGQUIT"]) {
  process.on(signal, () => {});
}
const child = spawn(program, process.argv.slice(2), { stdio: "inherit" });
for (const signal of ["SIGTERM", "SIGHUP"]) {
  process.on(signal, () => child.kill(signal));
}
child.on("error", (error) => {
  console.error(`fastvm: ${program}: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => {
  process.exit(signal ? 128 + (constants.signals[signal] || 0) : code);
});
