# Input: none. Output: lines that begin with a word:
#   own|shared   whether /proc is that of this VM's own kernel, or of the machine that it shares a kernel with
#   uptime ...   /proc/uptime
#   stat ...     the sum line of /proc/stat (own)
#   p ...        /proc/PID/stat of each process (shared)
#   a N kB       private memory of each process (shared)
#   r N, w N     bytes read and written by each process (shared)
#   the lines of /proc/meminfo, /proc/diskstats and `df -Pk /` (own), and of /proc/net/dev
read -r up </proc/uptime && echo "uptime $up"
read -r two </proc/2/comm || two=
if [ "$two" = kthreadd ]; then
    echo own
    read -r stat </proc/stat && echo "stat $stat"
    cat /proc/meminfo /proc/diskstats
    df -Pk /
else
    echo shared
    sed 's/^/p /' /proc/[0-9]*/stat
    sed -n 's/^Rss[AS][nh][a-z]*:/a/p' /proc/[0-9]*/status
    sed -n 's/^read_bytes:/r/p; s/^write_bytes:/w/p' /proc/[0-9]*/io
fi
cat /proc/net/dev
:
