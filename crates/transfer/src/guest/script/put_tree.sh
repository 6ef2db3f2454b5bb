# put_tree PATH STAGE NONCE COUNT MODE TIME FLAVOR ROLE KEEP (CODEC FILE MEMBERS SUM)...: archives to a tree in its place.
# ROLE is 'whole'; 'part' for some of a tree into PATH, which is there; 'last' for folders.tar alone, after the parts.
# KEEP is empty, or 'keep' where the source has no modes: files keep that of what they replace, folders that are there keep theirs.
# SUM is empty, or the checksum of an archive whose codec has none; it is looked at before anything is unpacked.
# Each archive holds tree/, perhaps shared.sh (folders that other parts put something into as well), at its end the marker end-NONCE-NUMBER with its count of members, and perhaps folders.tar
# and modes.sh (times and modes of folders, for when everything else is in place) and gone.sh (what must not be copied after all).
# With KEEP there is folders.sh in place of modes.sh: the folders of folders.tar, as calls of 'listed'.
# Without a NONCE another VM's tar made the archive: it holds the tree alone, with the modes of its folders. COUNT may be empty then.
path=$1 stage=$2 nonce=$3 count=$4 mode=$5 time=$6 flavor=$7 role=$8 keep=$9
shift 9
# Long reads, in blocks of 512 bytes, wake up those at the other end of a pipe less often.
case $flavor in
    gnu) keep_links=--keep-directory-symlink long='-b 128' ;;
    *) keep_links= long= ;;
esac
if { [ -e "$path" ] || [ -L "$path" ]; } && [ ! -d "$path" ]; then fail 42 "$path is not a folder"; fi
if [ "$role" = whole ]; then parents "${stage%/*}"; fi
[ -d "$stage" ] || mkdir -m 700 -- "$stage" || exit 44
bottom=$stage
if [ -z "$nonce" ]; then
    bottom=$stage/tree
    mkdir -m 700 -- "$bottom" || exit 44
fi

# Folders get their own mode at the end, unless they keep the one they have.
hidden=077
[ -z "$keep" ] || hidden=022

number=0
while [ $# -gt 0 ]; do
    codec=$1 file=$2 members=$3 sum=$4
    shift 4
    next_url
    if [ -n "$sum" ]; then
        if [ -z "$file" ]; then
            fetch >"$stage/object" || fail 46 "failed: download=$?"
            file=$stage/object
        fi
        got=$(cksum <"$file") || exit 44
        [ "${got%% *}" = "$sum" ] || fail 43 "the checksum is ${got%% *} instead of $sum"
    fi
    statuses=$({ { fetch; echo "download=$?" >&4; } | { decode; echo "$codec=$?" >&4; } |
        { umask 0; tar -xop $long -f - -C "$bottom" >&2; echo "tar=$?" >&4; cat >/dev/null; }; } 4>&1)
    settled "$statuses"
    [ -z "$file" ] || rm -f -- "$file"
    if [ -z "$nonce" ]; then break; fi
    marker=$stage/end-$nonce-$number
    said=
    if [ -f "$marker" ]; then read -r said <"$marker" || :; fi
    [ "$said" = "$members" ] || fail 43 "the archive has no valid end"
    number=$((number + 1))
done
if [ -f "$stage/gone.sh" ]; then (cd "$stage/tree" && . ../gone.sh) || exit 44; fi
# A folder goes only where there is a folder or nothing, anything else only where there is no folder. Known before the first move. Another
# part may make a folder right now: whether something is a folder is asked last. find takes no {} in a command but its own, so that the
# target is no argument.
to=$path
export to
folders='for each do
    if { [ -e "$to/$each" ] || [ -L "$to/$each" ]; } && [ ! -d "$to/$each" ]; then
        printf "%s/%s is not a folder\n" "$to" "$each" >&4
    fi
done
printf "+%s" "$#"'
others='for each do
    if [ ! -e "$to/$each" ] || [ -f "$to/$each" ] || [ -L "$to/$each" ]; then continue; fi
    if [ -d "$to/$each" ]; then said="a folder"; else said="a device, pipe or socket, which no file replaces"; fi
    printf "%s/%s is %s\n" "$to" "$each" "$said" >&4
done
printf "+%s" "$#"'
# BusyBox find forgets what it has collected within parentheses.
arrived=$(cd "$stage/tree" && find . -type d ! -name . -exec sh -c "$folders" sh {} + \
    -o ! -type d -exec sh -c "$others" sh {} + 4>"$stage/clashes") || exit 44
arrived=$((0$arrived))
[ -z "$count" ] || [ "$role" = last ] || [ "$arrived" = "$count" ] || fail 43 "$arrived members arrived instead of $count"
if [ -z "$nonce" ]; then
    odd=$(find "$stage/tree" ! -type f ! -type d ! -type l | head -c 1)
    [ -z "$odd" ] || fail 43 "the archive holds something that is neither file, folder nor link"
    find "$stage/tree" ! -type l \( -perm -4000 -o -perm -2000 \) -exec chmod u-s,g-s {} + || exit 44
fi

if [ -s "$stage/clashes" ]; then fail 42 "$(cat -- "$stage/clashes")"; fi

# stat and chmod for many at once, and chmod only for what is not as it should be: each program that is started takes its time.
adopt='for each do
    shift
    if [ -f "$to/$each" ] && [ ! -L "$to/$each" ]; then set -- "$@" "$each"; fi
done
[ $# -gt 0 ] || exit 0
had=$(cd "$to" && stat -c %a -- "$@") && got=$(stat -c %a -- "$@") || { echo failed; exit; }
for mode in $had; do
    case $mode in [2-7]???) mode=${mode#?} ;; esac
    [ "$mode" = "${got%%[!0-7]*}" ] || chmod "$mode" "$1" || echo failed
    got=${got#*[!0-7]}
    shift
done'
if [ -n "$keep" ]; then
    command -v stat >/dev/null 2>&1 || fail 45 stat
    failed=$(cd "$stage/tree" && find . -type f -exec sh -c "$adopt" sh {} +) && [ -z "$failed" ] || exit 44
fi

# BusyBox mv refuses to replace a link that can't be followed for a reason other than that nothing is there.
case $flavor in
    gnu) move='exec mv -f -- "$@" "$to/"' ;;
    *) move='for each do if [ -L "$to/$each" ] && [ ! -e "$to/$each" ]; then rm -f -- "$to/$each"; fi; done; exec mv -f -- "$@" "$to/"' ;;
esac
# merge STAGED FOLDER: each file by one rename, and each folder that is new by one; the others are merged. Of more than a hundred files
# find makes the command, for a shell takes long to.
merge() (
    cd -- "$1" || exit 44
    to=$2 files=0
    export to
    set --
    for each in ./* ./.[!.]* ./..?*; do
        if [ -d "$each" ] && [ ! -L "$each" ]; then
            if [ -d "$to/$each" ]; then
                merge "$each" "$to/${each#./}" || exit 44
                continue
            fi
        elif [ "$files" = 100 ] || { [ ! -e "$each" ] && [ ! -L "$each" ]; }; then
            continue
        else
            files=$((files + 1))
        fi
        set -- "$@" "$each"
        if [ $# = 200 ]; then
            sh -c "$move" sh "$@" || exit 44
            set --
        fi
    done
    [ $# = 0 ] || sh -c "$move" sh "$@" || exit 44
    [ "$files" -lt 100 ] || find . ! -name . -prune ! -type d -exec sh -c "$move" sh {} + || exit 44
)
if [ -f "$stage/shared.sh" ]; then (umask "$hidden" && cd "$path" && . "$stage/shared.sh") || exit 44; fi
new=
if [ "$role" = last ]; then new=$mode
elif [ -d "$path" ]; then
    merge "$stage/tree" "$path" || exit 44
    # With a MODE there was nothing before this copy: an earlier run of this has made it.
    [ "$role" != whole ] || new=$mode
else
    mv -- "$stage/tree" "$path" || exit 44
    new=1
fi
if [ -n "$keep" ] && [ -f "$stage/folders.sh" ]; then
    listed() { mkdir -p -- "$@" && stat -L -c %a -- "$@" >&3; }
    (cd "$path" && . "$stage/folders.sh") 3>"$stage/modes" || exit 44
fi
if [ -f "$stage/folders.tar" ]; then (umask 077; tar -xop $keep_links -f "$stage/folders.tar" -C "$path" >&2) || exit 44; fi
if [ -n "$keep" ] && [ -f "$stage/folders.sh" ]; then
    listed() { for each do read -r had <&3 && { [ "$had" = 755 ] || chmod "$had" "$each"; } || return; done; }
    (cd "$path" && . "$stage/folders.sh") 3<"$stage/modes" || exit 44
fi
if [ -f "$stage/modes.sh" ]; then (cd "$path" && . "$stage/modes.sh") || exit 44; fi
if [ -n "$new" ] && [ -n "$nonce" ]; then
    # Where it is in the folder, the time of that would be the time of its going.
    rm -rf -- "$stage" || exit 44
    stage=
    chmod "${mode:-755}" "$path" || exit 44
    [ -z "$time" ] || stamp "$path" "$time"
fi
finished=1
printf 'done'
