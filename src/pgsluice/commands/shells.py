"""The scripts of the shells that complete `pgsluice`; @words@ and @paths@ come from its parser.

A word that begins with @ stands for files, or for names that the service is asked for.
"""

BASH = """\
# pgsluice completion for bash: eval "$(pgsluice completion bash)"
_pgsluice() {
    local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} word path="" values found
    local -A words=(
@words@
    )
    # readline takes --flag=value apart
    if [[ $before == = ]]; then before=${COMP_WORDS[COMP_CWORD-2]}
    elif [[ $cur == = ]]; then cur=""; fi
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        found="${path:+$path }$word"
        [[ -n ${words[$found]+x} ]] && path=$found
    done
    values=${words["${path:-.} $before"]-${words[${path:-.}]}}
    COMPREPLY=()
    for word in $values; do
        found=()
        case $word in
            @) ;;
            @files) compopt -o filenames 2>/dev/null; mapfile -t found < <(compgen -f -- "$cur") ;;
            @*) if [[ $cur != -* ]]; then
                    word=$(pgsluice completion "${word#@}" 2>/dev/null)
                    mapfile -t found < <(compgen -W "$word" -- "$cur")
                fi ;;
            -*) [[ $cur == -* && $word == "$cur"* ]] && found=("$word") ;;
            *) [[ $word == "$cur"* ]] && found=("$word") ;;
        esac
        COMPREPLY+=("${found[@]}")
    done
}
complete -F _pgsluice pgsluice
"""

ZSH = """\
#compdef pgsluice
# pgsluice completion for zsh: eval "$(pgsluice completion zsh)", or a file _pgsluice in $fpath
_pgsluice() {
    local word at="" known before=$words[CURRENT-1]
    local -A found
    found=(
@words@
    )
    if [[ $PREFIX == --*=* ]]; then
        before=${PREFIX%%=*}
        compset -P '*='
    fi
    for word in "${(@)words[2,CURRENT-1]}"; do
        known="${at:+$at }$word"
        (( ${+found[$known]} )) && at=$known
    done
    local values="${found[${at:-.} $before]-${found[${at:-.}]}}"
    for word in ${=values}; do
        case $word in
            @) ;;
            @files) _files ;;
            @*) [[ $PREFIX == -* ]] ||
                compadd -- ${(f)"$(pgsluice completion ${word#@} 2>/dev/null)"} ;;
            -*) [[ $PREFIX == -* ]] && compadd -- $word ;;
            *) compadd -- $word ;;
        esac
    done
}
if [[ $funcstack[1] == _pgsluice ]]; then
    _pgsluice "$@"
else
    compdef _pgsluice pgsluice
fi
"""

FISH = """\
# pgsluice completion for fish: pgsluice completion fish | source
function __pgsluice_at
    set -l words (commandline -opc)
    set -l path
    for word in $words[2..]
        set -l longer $path $word
        contains -- "$longer" @paths@
        and set path $longer
    end
    test "$path" = "$argv"
end
complete -c pgsluice -f
"""
