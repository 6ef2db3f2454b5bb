# Sends signal $2 to all processes of job $1.
# Exit code: 0 sent, 20 ended, 21 lost, 23 no such job.
enter_root && cd "./$1" 2>/dev/null && read_state . || exit 23
[ "$state" != lost ] || exit 21
is_commanded . || exit 20
signal_session "$2" "$pid"
exit 0
