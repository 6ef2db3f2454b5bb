# Ends a stream whose client is gone, or whose processes were killed.
# Arguments: folder, process of run.sh.
folder=$1 main=$2
trap '' HUP INT TERM QUIT
last= unchanged=0
while [ -d "$folder" ] && [ $unchanged -lt 3 ]; do
  sleep 20 &
  wait $!
  lease=
  read -r lease <"$folder/lease"
  if [ "$lease" = "$last" ]; then
    unchanged=$((unchanged + 1))
  else
    last=$lease unchanged=0
  fi
  kill -0 "$main" || unchanged=3
done
if [ -d "$folder" ]; then
  hang_up_command
  sleep 2
  remove_stream
fi
