# piece FILE BLOCK COUNT: a part of a file, in blocks of 64 KiB.
dd if="$1" bs=65536 skip="$2" count="$3" 2>/dev/null || fail 44 "$1 can't be read"
finished=1
