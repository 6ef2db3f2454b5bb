# Where a stream lives in the VM, and what more than one script does there. Sets and reads: name, folder.
#
# The folder holds:
#   0, 1, 2, …   pieces of the input, whole; N.end in place of the piece N is the end of the input
#   taken        how many pieces went to the command
#   closed       the command reads no more
#   sleeper      the process that the pump waits for; whoever brings something ends it
#   command      the process of the command, with a `-` before it where it leads a group of its own
#   ended        the command is not to start any more
#   tty          the terminal of the command
#   lease        changes as long as the client is there
#   over         the command has ended
#   main         the process of run.sh
#   pump         the process of pump.sh
#   watcher      the process of watch.sh
parents="/dev/shm /tmp /var/tmp ${HOME:-/root}"

# Another user of the VM may see the name in `ps`, and make a folder of that name.
find_folder() {
  for parent in $parents; do
    folder=$parent/$name
    [ -d "$folder" ] && [ -O "$folder" ] && return
  done
  return 1
}

# A shell that has traps forgets a TERM that comes right after it forks, so children are ended by KILL.
wake_pump() {
  read -r sleeper <"$folder/sleeper" && kill -KILL "$sleeper"
} 2>/dev/null

# For where run.sh was killed, which does all this at the end of the command.
remove_stream() {
  : >"$folder/over"
  read -r process <"$folder/pump" && kill -USR1 "$process"
  rm -rf "$folder"
} 2>/dev/null

# The watcher leads a group where there is setsid, and its sleep is in it.
end_watcher() {
  kill -KILL "-$1" || kill -KILL "$1"
} 2>/dev/null

# Ends the command when nobody is there any more: at first as if its terminal had been closed, so that it can tidy up.
hang_up_command() {
  : >"$folder/ended"
  read -r process <"$folder/command" && kill -HUP "$process" && sleep 1 </dev/null >/dev/null
  end_command
} 2>/dev/null

# Both write one thing and look for the other's, in opposite order: the command starts and is ended, or does not start.
end_command() {
  : >"$folder/ended"
  read -r process <"$folder/command" && kill -KILL "$process"
} 2>/dev/null
