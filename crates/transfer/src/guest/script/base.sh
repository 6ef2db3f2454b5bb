# Begins every script: plain text, nothing inherited that changes a tool, nothing of ours left when it ends.
set -u
shift # a name for this run, by which running.sh finds it
umask 022
unset TAR_OPTIONS GZIP POSIXLY_CORRECT CDPATH ENV
LC_ALL=C
export LC_ALL
stage= made_top= made_end= finished=

tidy() {
    if [ -n "$stage" ]; then rm -rf -- "$stage"; fi
    if [ -z "$finished" ] && [ -n "$made_top" ]; then
        while rmdir -- "$made_end" 2>/dev/null && [ "$made_end" != "$made_top" ]; do made_end=${made_end%/*}; done
    fi
}
trap tidy EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
# Whoever listened is gone: what the shell says of its children must not end it before it has tidied up.
trap 'exit 141' PIPE

# fail CODE WORDS: 41 missing, 42 something else is in the way, 43 not what was sent, 44 a stage failed, 45 the VM lacks the program
# WORDS, 46 a stage that moves bytes failed, 47 the folder WORDS cannot be written to.
fail() {
    code=$1
    shift
    printf '%s\n' "$*" >&2
    exit "$code"
}

# locate PATH: sets $path to it, absolute.
locate() {
    home=${HOME:-/root}
    case $1 in
        /*) path=$1 ;;
        '' | '~') path=$home ;;
        '~/'*) path=$home/${1#??} ;;
        *) path=$home/$1 ;;
    esac
}

# writable FOLDER: fails unless files can be made in it, or in the nearest folder above it that is there. Sets $near to that.
writable() {
    near=$1
    while [ -n "$near" ] && [ ! -d "$near" ]; do near=${near%/*}; done
    near=${near:-/}
    [ -w "$near" ] || fail 47 "$near"
}

# parents FOLDER: makes it and all above it; what was made here is removed again if the script fails.
parents() {
    if [ -z "$1" ] || [ -d "$1" ]; then return; fi
    up=$1
    while [ -n "$up" ] && [ ! -d "$up" ]; do
        if { [ -e "$up" ] || [ -L "$up" ]; } && [ ! -d "$up" ]; then fail 42 "$up is not a folder"; fi
        made_top=$up
        up=${up%/*}
    done
    made_end=$1
    mkdir -p -- "$1" || exit 44
}

# stamp FILE TIME: sets the modification time, in whole seconds where the VM's touch knows no parts.
stamp() {
    touch -c -d "@$2" -- "$1" 2>/dev/null || touch -c -d "@${2%.*}" -- "$1" 2>/dev/null || :
}

# settled STATUS...: fails unless each word ends in =0; the caller has collected one for each stage of a pipe.
settled() {
    bad= code=44
    for status in $1; do
        case $status in
            *=0) ;;
            *)
                bad="$bad $status"
                case $status in download=* | upload=* | zstd=* | gzip=* | none=*) code=46 ;; esac
                ;;
        esac
    done
    [ -z "$bad" ] || fail "$code" "failed:$bad"
}
