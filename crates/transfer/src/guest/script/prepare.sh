# prepare STAGE: makes the folder that files/fetch puts objects into. It stays: what follows takes it over.
parents "${1%/*}"
mkdir -m 700 -- "$1" || exit 44
finished=1
