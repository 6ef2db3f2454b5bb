# Passes pieces of input on, in their order, as they come. Its output is the command's input.
# Arguments: folder.
folder=$1
child= next=0
end_child() {
  [ "$child" = new ] && child=$!
  [ -n "$child" ] && kill -KILL "$child"
}
# The command has ended.
trap 'end_child; exit' USR1
# The server hangs up. It gives two seconds; until then the command must be gone, so that it does not take the end of this
# for the end of its input.
trap 'hang_up_command; end_child' HUP TERM
trap '' INT QUIT
echo $$ >"$folder/pump"
while [ ! -e "$folder/over" ]; do
  piece=$folder/$next
  if [ -e "$piece" ]; then
    child=new
    cat "$piece" &
    child=$!
    wait "$child"
    code=$?
    child=
    if [ $code != 0 ]; then
      # What can be read was not taken: the command reads no more. All else is a fault, after which nothing may follow.
      case $code in
        1 | 141) cat "$piece" >/dev/null || end_command ;;
        *) end_command ;;
      esac
      : >"$folder/closed"
      exec >/dev/null
    fi
    next=$((next + 1))
    # In this order a full disk has room for the number.
    rm -f "$piece"
    echo $next >"$folder/taken"
  elif [ -e "$piece.end" ]; then
    exec >/dev/null
    next=none
  else
    child=new
    sleep 60 </dev/null >/dev/null &
    child=$!
    echo $child >"$folder/sleeper"
    # What came meanwhile did not find this sleeper.
    if [ -e "$piece" ] || [ -e "$piece.end" ] || [ -e "$folder/over" ]; then
      kill -KILL "$child"
    fi
    wait "$child"
    child=
    # Its number may become another's.
    : >"$folder/sleeper"
  fi
done
