# Completion of fastvm in bash: the program itself answers what the next word may be.
_fastvm() {
    local candidate
    COMPREPLY=()
    while IFS= read -r candidate; do
        COMPREPLY+=("$candidate")
    done < <(
        FASTVM_COMPLETE=bash FASTVM_COMPLETE_LINE="${COMP_LINE:0:COMP_POINT}" _CLAP_COMPLETE_INDEX=$COMP_CWORD \
            fastvm -- "${COMP_WORDS[@]}" 2>/dev/null
    )
    # A path in a VM goes on after a slash, a mount after a colon.
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[/:=] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
if [[ ${BASH_VERSINFO[0]} -gt 4 || ${BASH_VERSINFO[0]} -eq 4 && ${BASH_VERSINFO[1]} -ge 4 ]]; then
    complete -o bashdefault -o nosort -F _fastvm fastvm
else
    complete -o bashdefault -F _fastvm fastvm
fi
