# Runs a command whose input other requests bring (ask.sh). Its output is this script's, and so is its exit code.
# Arguments: name of the stream, pump.sh, watch.sh, start.sh, words for start.sh, then the command.
name=$1 pump=$2 watch=$3 start=$4 line=$5 python=$6
shift 6
if find_folder; then
  exit 125 # this request came twice
fi
folder=
for parent in $parents; do
  # What streams left whose processes were all killed.
  for old in "$parent"/.fastvm-stream-*; do
    [ -O "$old" ] && [ ! -L "$old" ] || continue
    if read -r process <"$old/main"; then
      kill -0 "$process" || rm -rf "$old"
    elif [ "$(find "$old" -prune -mmin +1)" ]; then
      rm -rf "$old" # cut off when it was made or removed
    fi
  done 2>/dev/null
done
# Returns whether all that may wait here has room in $1, in KiB.
has_room() {
  set -- $(df -Pk "$1" 2>/dev/null)
  [ "${11:-0}" -ge 17000 ]
} 2>/dev/null

make_folder() {
  folder=$parent/$name
  if mkdir -m 700 "$folder" 2>/dev/null; then
    { echo $$ >"$folder/main" && echo 0 >"$folder/taken"; } 2>/dev/null && return
    rm -rf "$folder"
  elif [ -e "$folder" ]; then
    exit 125
  fi
  folder=
  return 1
}

for parent in $parents; do
  has_room "$parent" && make_folder && break
done
if [ -z "$folder" ]; then
  for parent in $parents; do
    make_folder && break
  done
fi
if [ -z "$folder" ]; then
  echo "fastvm: the VM has no room for the command's input in any of $parents" >&2
  exit 125
fi
# A group of its own takes signals as one, and none that the server sends to this one.
own_group= sign=
if command -v setsid >/dev/null 2>&1; then
  own_group=setsid sign=-
fi
# The shell's own words, such as `Killed`, are not the command's; where nobody reads they would end the shell.
trap : HUP INT TERM QUIT PIPE
$own_group sh -c "$watch" fastvm "$folder" $$ </dev/null >/dev/null 2>&1 &
watcher=$!
echo "$watcher" >"$folder/watcher"
sh -c "$pump" fastvm "$folder" 2>/dev/null | {
  trap : HUP INT TERM QUIT PIPE
  $own_group sh -c "$start" fastvm "$folder" "$sign" "$line" "$python" "$@" 2>&3 3>&-
  code=$?
  exec </dev/null
  # Both write one thing and look for the other's: the pump is ended, or sees it.
  : >"$folder/over"
  read -r process <"$folder/pump" && kill -USR1 "$process"
  exit $code
} 3>&2 2>/dev/null
code=$?
end_watcher "$watcher"
# Under another name nothing is put into it any more.
mv "$folder" "$folder.over" && rm -rf "$folder.over"
exit $code
