# Finds the path in $1, which is in the form of printf %b and begins in the home folder.
export LC_ALL=C
cd "${HOME:-/}" 2>/dev/null
path=$(printf '%b.' "$1")
path=${path%.}
case $path in
  '~') path=. ;;
  '~/'*) path=./${path#'~/'} ;;
  /*) ;;
  *) path=./$path ;;
esac
[ -e "$path" ] || exit 41
