"""Completion in shells, from the tree of commands itself."""

import argparse
from collections.abc import Callable, Iterator, Sequence

from cascade_equivalence.cli.parser import PROGRAM, Commands, add_command

Command = tuple[str, str, list[str]]
"""A command, its line of help, and the words it takes beside files."""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "completion", run)
    parser.add_argument("shell", choices=tuple(_SHELLS), help="the shell to write for")


def run(arguments: argparse.Namespace) -> int:
    """Print what makes a shell complete the commands and their options.

    bash: eval "$(cascade-equivalence completion bash)" in ~/.bashrc
    zsh:  eval "$(cascade-equivalence completion zsh)" in ~/.zshrc, after compinit
    fish: cascade-equivalence completion fish | source in ~/.config/fish/config.fish
    """
    print(_SHELLS[arguments.shell](list(_tree(arguments.whole))))
    return 0


def _tree(parser: argparse.ArgumentParser) -> Iterator[Command]:
    """The commands of the whole command line."""
    (tree,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    for choice in tree._choices_actions:
        words: list[str] = []
        for action in tree.choices[choice.dest]._actions:
            words += [option for option in action.option_strings if option.startswith("--")]
            words += [str(word) for word in action.choices or ()]
        yield choice.dest, choice.help or "", words


def _bash(tree: Sequence[Command]) -> str:
    cases = "\n".join(f'    {name}) words="{" ".join(words)}" ;;' for name, _, words in tree)
    return f"""\
_cascade_equivalence() {{
  local words="" current="${{COMP_WORDS[COMP_CWORD]}}"
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "{" ".join(name for name, _, _ in tree)} --help --version" -- "$current"))
    return
  fi
  case "${{COMP_WORDS[1]}}" in
{cases}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current") $(compgen -f -- "$current"))
}}
complete -o filenames -F _cascade_equivalence {PROGRAM}"""


def _zsh(tree: Sequence[Command]) -> str:
    return f"autoload -U +X bashcompinit && bashcompinit\n{_bash(tree)}"


def _fish(tree: Sequence[Command]) -> str:
    lines = []
    for name, text, words in tree:
        said = text.replace("\\", "\\\\").replace("'", "\\'")
        lines.append(f"complete -c {PROGRAM} -n __fish_use_subcommand -f -a {name} -d '{said}'")
        for word in words:
            how = f"-l {word.removeprefix('--')}" if word.startswith("--") else f"-a {word}"
            lines.append(f"complete -c {PROGRAM} -n '__fish_seen_subcommand_from {name}' {how}")
    return "\n".join(lines)


_SHELLS: dict[str, Callable[[Sequence[Command]], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
