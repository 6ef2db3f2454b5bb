# Becomes the command, on the terminal that it was started on.
# Arguments: lines and columns of the terminal, the user who is to own it or nothing, then the command.
rows=$1 columns=$2 owner=$3
shift 3
stty sane 2>/dev/null
stty rows "$rows" cols "$columns" 2>/dev/null
tty=$(tty 2>/dev/null || readlink /proc/self/fd/0)
echo "$tty" >"$FASTVM_STREAM/tty"
if [ -n "$owner" ]; then
  chown "$owner" "$tty" 2>/dev/null
fi
if [ -n "$FASTVM_SHELL" ]; then
  SHELL=$FASTVM_SHELL
else
  unset SHELL
fi
unset FASTVM_STREAM FASTVM_SHELL
exec "$@"
