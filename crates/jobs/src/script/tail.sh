# Says at which bytes the last $2 lines of the logs of job $1 begin: that of stdout, then that of stderr.
# Exit code: 23 no such job.
export LC_ALL=C
enter_root && cd "./$1" || exit 23
[ -e state ] || exit 23
lines=$2

# The files of log $1 as they are now, in order. Sets `end` to the byte after them.
list_files() {
  at= files=
  for file in "$1".*; do
    start=${file#"$1".}
    case $start in *[!0-9]*) continue ;; esac
    if [ ! "$at" ] || [ "$start" -lt "$at" ]; then
      at=$start
    fi
  done
  first=${at:-0} end=${at:-0}
  while [ "$at" ] && [ -e "$1.$end" ]; do
    read_size "$1.$end"
    [ "$size" -gt 0 ] || break
    files="$files $1.$end"
    end=$((end + size))
  done
}

for log in out err; do
  list_files $log
  length=0
  if [ "$files" ]; then
    length=$(cat $files | head -c $((end - first)) | tail -n "$lines" | wc -c)
  fi
  printf '%s\n' $((end - length))
done 2>/dev/null
exit 0
