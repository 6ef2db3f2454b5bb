fn main() -> std::process::ExitCode {
    fastvm::run()
}
