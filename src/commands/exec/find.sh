# Finds the process of a running command and signals it. The request that runs this script is served as that of the
# command was, so both have the same parent; the command's process is as old as its request. Where that leaves several,
# the words of the command decide. Nothing is signalled that is not surely it.
#
# Arguments: signal, youngest and oldest age in 1/100 s, then the words of the command.
# Exit code: 0 signalled, 3 not there, 4 not to be told from others.
signal=$1 youngest=$2 oldest=$3
shift 3
words=$(printf '%s\n' "$@")
IFS=' .' read -r seconds hundredths _ </proc/uptime
now=$((seconds * 100 + 1$hundredths - 100))
all= siblings= sibling_count=0 alike= alike_count=0 twins= twin_count=0

# Fields of /proc/PID/stat behind the name: state, parent, group, session, …; the 20th is the start.
look() {
  parent=$2 group=$3 session=$4 age=$((now - ${20}))
}
for folder in /proc/[0-9]*; do
  { read -r line <"$folder/stat"; } 2>/dev/null || continue
  pid=${folder#/proc/}
  look ${line##*) }
  all="$all $pid:$parent:$group:$session"
  [ "$pid" != $$ ] && [ "$age" -ge "$youngest" ] && [ "$age" -le "$oldest" ] || continue
  same=
  [ "$(tr '\0' '\n' 2>/dev/null <"$folder/cmdline")" = "$words" ] && same=yes
  if [ "$parent" = "$PPID" ]; then
    siblings="$siblings $pid" sibling_count=$((sibling_count + 1))
    [ "$same" ] && twins="$twins $pid" twin_count=$((twin_count + 1))
  elif [ "$same" ]; then
    alike="$alike $pid" alike_count=$((alike_count + 1))
  fi
done
if [ $sibling_count = 1 ]; then
  found=${siblings# }
elif [ $twin_count = 1 ]; then
  found=${twins# }
elif [ $sibling_count = 0 ] && [ $alike_count = 1 ]; then
  found=${alike# }
elif [ $sibling_count = 0 ] && [ $alike_count = 0 ]; then
  exit 3
else
  exit 4
fi

# What descends from it; its group where it leads one, which is all that an interrupt at a terminal reaches; its session.
tree=" $found " led_group= session_members=
for _ in 1 2 3 4 5 6 7 8; do
  for one in $all; do
    pid=${one%%:*} rest=${one#*:}
    case $tree in
      *" $pid "*) ;;
      *" ${rest%%:*} "*) tree="$tree$pid " ;;
    esac
  done
done
for one in $all; do
  pid=${one%%:*} rest=${one#*:}
  rest=${rest#*:}
  [ "${rest%%:*}" = "$found" ] && led_group="-$found"
  [ "${rest#*:}" = "$found" ] && session_members="$session_members $pid"
done
# A group is signalled as one: what it starts meanwhile is reached too, and a shell that waits for a program which does
# not hear of an interrupt goes on as if there had been none.
if [ "$signal" = KILL ]; then
  targets="$led_group $tree $session_members"
else
  targets=${led_group:-$tree}
fi
kill "-$signal" $targets 2>/dev/null
exit 0
