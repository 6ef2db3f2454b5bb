# How an object leaves: 'direct' as it is made, 'staged' by way of a file, so that its checksum can be told when its codec has none, or
# 'kept' in a file that stays to be read in pieces, where the VM has no curl.
begin() {
    how=$1
    if [ "$how" != direct ]; then
        mkdir -m 700 -- "$2" || exit 44
        stage=$2
    fi
    if [ "$how" != kept ]; then next_url; fi
}

sink() {
    case $how in
        direct) put ;;
        *) cat >"$stage/object" ;;
    esac
}

hand_over() {
    if [ "$how" = direct ]; then return; fi
    size=$(wc -c <"$stage/object")
    printf 'size %s\n' "$((size))"
    if [ "$codec" = none ]; then
        sum=$(cksum <"$stage/object") || exit 44
        printf 'sum %s\n' "${sum%% *}"
    fi
    case $how in
        staged) put <"$stage/object" || fail 46 "failed: upload=$?" ;;
        kept) stage= ;;
    esac
}
