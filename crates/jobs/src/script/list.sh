# Lists the jobs whose ids begin with $1: `now SECONDS`, a line for each, `files` and the
# sizes of the files of their logs, `info` and their descriptions.
export LC_ALL=C
enter_root || exit 0
printf 'now %s\n' "$(date +%s)"
found=
for job in "$1"*; do
  read_state "$job" || continue
  lost=0 is_overtime=0
  { read -r lost <"$job/lost"; } 2>/dev/null
  { read -r is_overtime <"$job/overtime"; } 2>/dev/null
  printf 'job %s %s %s %s %s %s %s\n' "$job" "$state" "${started:--}" "${ended:--}" "${code:--}" "$lost" "$is_overtime"
  found=1
done
[ "$found" ] || exit 0
printf 'files\n'
find "./$1"* -name '*.[0-9]*' -exec ls -ln {} + 2>/dev/null
printf 'info\n'
# No longer than they are made.
find "./$1"* -name info -size -17 -exec cat {} + 2>/dev/null
exit 0
