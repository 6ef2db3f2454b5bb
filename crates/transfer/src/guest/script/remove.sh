# remove PATH...: what an interrupted transfer left, and the folders that were made for it if nothing is in them.
for each do
    case ${each##*/} in
        .fastvm-?*)
            top=
            if [ -f "$each/made-top" ]; then
                IFS= read -r top <"$each/made-top"
                IFS= read -r end <"$each/made"
            fi
            # A command that nobody waits for any more may still be writing there; without the folder it soon ends.
            for pause in 1 2 3; do
                rm -rf -- "$each" 2>/dev/null && break
                sleep "$pause"
            done
            rm -rf -- "$each" || exit 44
            if [ -n "$top" ]; then
                while rmdir -- "$end" 2>/dev/null && [ "$end" != "$top" ]; do end=${end%/*}; done
            fi
            ;;
    esac
done
finished=1
