# bash completion for troupe(1). The command itself says what a word could be: verbs, options, names of actors and methods.

# The words up to the cursor, in $words, as they were typed: bash parts them at ':', '=' and '@', too.
_troupe_words() {
    local rest=${COMP_LINE:0:COMP_POINT} i word blanks
    words=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        blanks=${rest%%[![:blank:]]*}
        rest=${rest#"$blanks"}
        word=${COMP_WORDS[i]:0:${#rest}}
        rest=${rest:${#word}}
        if ((i == 0)) || [[ -n $blanks ]]; then
            words+=("$word")
        else
            words[${#words[@]} - 1]+=$word
        fi
    done
}

# A word without its quotes and backslashes, in $plain; nothing is expanded. A quote that is not closed is in $open; the first
# $kept characters stay as they are: bash replaces what is behind them.
_troupe_plain() {
    local word=$1 c
    plain='' open='' kept=0
    while [[ -n $word ]]; do
        c=${word:0:1} word=${word:1}
        case $open$c in
        \\ | \"\\) plain+=${word:0:1} word=${word:1} ;;
        \' | \") open=$c kept=${#plain} ;;
        \'\' | \"\") open='' ;;
        [:=])
            plain+=$c
            [[ $COMP_WORDBREAKS != *"$c"* ]] || kept=${#plain}
            ;;
        *) plain+=$c ;;
        esac
    done
}

# What was found, as it has to be typed behind what is kept.
_troupe_quote() {
    local i text
    for i in "${!COMPREPLY[@]}"; do
        text=${COMPREPLY[i]:kept}
        case $open in
        \') ;;
        \") text=${text//\\/\\\\} text=${text//\"/\\\"} text=${text//\$/\\\$} text=${text//\`/\\\`} ;;
        *) printf -v text %q "$text" ;;
        esac
        COMPREPLY[i]=$text
    done
}

# Files: what was found is "BEFORE:files".
_troupe_files() {
    local before=${COMPREPLY[0]%:*} i
    mapfile -t COMPREPLY < <(compgen "$@" -- "${plain#"$before"}")
    for i in "${!COMPREPLY[@]}"; do
        [[ -z $before || ! -d ${COMPREPLY[i]} ]] || COMPREPLY[i]+=/
        COMPREPLY[i]=$before${COMPREPLY[i]}
    done
    if [[ -z $before ]]; then
        compopt -o filenames # bash does the quoting
    else
        [[ ${COMPREPLY[0]-} != */ ]] || compopt -o nospace
        _troupe_quote
    fi
}

_troupe() {
    local words plain='' open='' kept=0 word program
    local -a asked=()
    _troupe_words
    program=${words[0]/#~\//$HOME/}
    type -P -- "$program" >/dev/null || program=troupe
    for word in "${words[@]:1}"; do
        _troupe_plain "$word"
        asked+=("$plain")
    done
    if [[ $plain == @* ]]; then
        COMPREPLY=(@:files) # an argument from a file
    else
        mapfile -t COMPREPLY < <("$program" __complete -- "${asked[@]}" 2>/dev/null)
    fi
    case ${COMPREPLY[0]-} in
    *:files) _troupe_files -f ;;
    *:directories) _troupe_files -d ;;
    *:programs) _troupe_files -c -f ;;
    *) _troupe_quote ;;
    esac
}
complete -F _troupe troupe
