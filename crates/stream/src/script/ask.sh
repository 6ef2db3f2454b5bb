# Tells a stream something, and answers how many pieces the command has taken, and `closed` if it reads no more.
# Arguments: name of the stream, how often to look for it, verb, words of the verb.
# Exit codes: 3 no such stream, 4 not all of the piece arrived, 5 no room for it.
name=$1 tries=$2 verb=$3
shift 3

nap() {
  sleep 0.05 2>/dev/null || sleep 1
}

until find_folder; do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || exit 3
  nap
done

answer() {
  taken= looked=0
  until read -r taken <"$folder/taken" && [ -n "$taken" ]; do
    [ -d "$folder" ] || exit 3
    looked=$((looked + 1))
    if [ $looked -gt 100 ]; then
      echo 'there is no room to note what the command has taken' >&3
      exit 5
    fi
    nap
  done 3>&2 2>/dev/null
  closed=
  [ -e "$folder/closed" ] && closed=closed
}

put() {
  piece=$folder/$1 part=$folder/$1.$$
  answer
  if [ -e "$piece" ] || [ "$1" -lt "$taken" ]; then
    return # it came before, and the answer was lost
  fi
  if [ $# = 3 ]; then
    printf "$3" >"$part"
  else
    cat >"$part" && {
      [ $(wc -c <"$part") -eq "$2" ] || {
        rm -f "$part"
        exit 4
      }
    }
  fi || {
    rm -f "$part"
    [ -d "$folder" ] || exit 3
    exit 5
  }
  mv -f "$part" "$piece" 2>/dev/null || exit 3
  wake_pump
  answer
  if [ "$1" -lt "$taken" ]; then
    rm -f "$piece" # the same piece came twice at once, and the first was taken
  fi
}

# The process is written a moment after the folder is there.
find_process() {
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    read -r found <"$folder/$1" && [ -n "$found" ] && return
    [ -d "$folder" ] || exit 3
    nap
  done 2>/dev/null
  exit 3
}

case $verb in
  put) put "$@" ;;
  end)
    : >"$folder/$1.end"
    wake_pump
    ;;
  wait)
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
      answer
      [ "$taken" -ge "$1" ] || [ -n "$closed" ] && break
      sleep 0.25 2>/dev/null || sleep 1
    done
    ;;
  signal)
    find_process command
    kill "-$1" "$found" 2>/dev/null || exit 3
    ;;
  resize)
    find_process tty
    stty -F "$found" rows "$1" cols "$2" 2>/dev/null || stty rows "$1" cols "$2" <"$found"
    ;;
  stop)
    end_command
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
      [ -d "$folder" ] || exit 0
      nap
    done
    watcher=
    read -r watcher <"$folder/watcher"
    remove_stream
    [ -n "$watcher" ] && end_watcher "$watcher"
    exit
    ;;
esac
echo "$verb $1 $$" 2>/dev/null >"$folder/lease" || [ -d "$folder" ] || exit 3
answer
echo "$taken $closed"
