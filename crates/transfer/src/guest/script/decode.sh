# Comes before a script with arguments that are no text: each but the name is written for printf's %b.
LC_ALL=C
name=$1
shift
for each do
    shift
    each=$(printf '%b.' "$each")
    set -- "$@" "${each%.}"
done
set -- "$name" "$@"
