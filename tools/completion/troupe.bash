# bash completion for troupe(1). The command itself says what a word could be: verbs, options, names of actors and methods.
_troupe() {
    local cur words cword
    if declare -F _get_comp_words_by_ref >/dev/null; then
        _get_comp_words_by_ref -n := cur words cword # names such as module:Class are one word
    else
        words=("${COMP_WORDS[@]}") cword=$COMP_CWORD cur=${COMP_WORDS[COMP_CWORD]}
    fi
    mapfile -t COMPREPLY < <("${words[0]}" __complete -- "${words[@]:1:cword}" 2>/dev/null)
    case ${COMPREPLY[0]-} in
    :files) mapfile -t COMPREPLY < <(compgen -f -- "$cur") && compopt -o filenames 2>/dev/null ;;
    :directories) mapfile -t COMPREPLY < <(compgen -d -- "$cur") && compopt -o filenames 2>/dev/null ;;
    esac
    if [[ $cur == @* ]]; then # an argument from a file
        mapfile -t COMPREPLY < <(compgen -P @ -f -- "${cur#@}")
    fi
    if declare -F __ltrim_colon_completions >/dev/null; then
        __ltrim_colon_completions "$cur"
    fi
}
complete -F _troupe troupe
