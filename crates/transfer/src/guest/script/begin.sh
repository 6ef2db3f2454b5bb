# begin PATH STAGE MODE OLD...: before the parts of a tree come: the folder itself, and a private one for what arrives. OLD is what
# an earlier copy left. What was made above the stage is noted in it, and goes with it if nothing came.
path=$1 new_stage=$2 mode=$3
shift 3
for each do
    case ${each##*/} in
        .fastvm-?*) rm -rf -- "$each" || exit 44 ;;
    esac
done
if { [ -e "$path" ] || [ -L "$path" ]; } && [ ! -d "$path" ]; then fail 42 "$path is not a folder"; fi
parents "${new_stage%/*}"
if [ -n "$mode" ] && [ ! -d "$path" ]; then
    [ -n "$made_top" ] || made_top=$path
    mkdir -m "$mode" -- "$path" || exit 44
    made_end=$path
fi
mkdir -m 700 -- "$new_stage" || exit 44
if [ -n "$made_top" ]; then printf '%s\n' "$made_end" >"$new_stage/made"; printf '%s\n' "$made_top" >"$new_stage/made-top"; fi
finished=1
printf 'done'
