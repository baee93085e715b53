"""Scripts by which shells complete commands, options and values.

What a command understands is written into the script, and data sets and plans are found by the
shell itself: starting Python at each Tab would take longer than people wait.
"""

import argparse
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nnunet_sparse.front.way_of_work import PREFIX
from nnunet_sparse.planners.planner_classes import OURS as PLANNERS
from nnunet_sparse.selectors import first_selector_names, selector_names
from nnunet_sparse.system.command import parser_of
from nnunet_sparse.trainers.trainer_classes import OURS as TRAINERS
from nnunet_sparse.trainers.trainer_classes import STOCK_TRAINER

DATASETS, PLANS, FILES, FREE = "@datasets", "@plans", "@files", "@free"
"""Values that the shell finds: names of data sets and of plans, files, and none that it knows."""

_CONFIGURATIONS = "2d 3d_fullres 3d_lowres 3d_cascade_fullres"
_STOCK_PLANNERS = "nnUNetPlannerResEncM nnUNetPlannerResEncL nnUNetPlannerResEncXL"


@dataclass(frozen=True)
class Argument:
    """One argument of a command.

    Attributes
    ----------
    names
        Of an option; empty for what is given by its place.
    values
        Words that it can have, or one of ``DATASETS`` ...; empty for options without a value.
    is_many
        Whether several values may follow.
    text
        What it is, in few words.
    """

    names: tuple[str, ...]
    values: str
    is_many: bool
    text: str


@dataclass(frozen=True)
class Understood:
    """What a command, or a subcommand, understands."""

    command: str
    subcommands: tuple[str, ...]
    arguments: tuple[Argument, ...]


def completion_script(shell: str, functions: Mapping[str, Callable[..., int]]) -> str:
    """What a shell has to read.

    Parameters
    ----------
    shell
        ``bash``, ``zsh`` or ``fish``.
    functions
        ``main`` of each command.
    """
    understood = [
        one for name, main in functions.items() for one in _understood(name, parser_of(main))
    ]
    if shell == "fish":
        return _fish(understood, list(functions))
    start = "autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else ""
    return start + _bash(understood, list(functions))


def _understood(command: str, parser: argparse.ArgumentParser) -> Iterator[Understood]:
    arguments = []
    below: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            shown = {choice.dest for choice in action._choices_actions}
            below = {name: one for name, one in action.choices.items() if name in shown}
        elif action.help is not argparse.SUPPRESS:
            arguments.append(_argument(action))
    yield Understood(command, tuple(below), tuple(arguments))
    for name, one in below.items():
        yield from _understood(f"{command} {name}", one)


def _argument(action: argparse.Action) -> Argument:
    text = " ".join((action.help or "").replace("%%", "%").split()).partition(" (default")[0]
    is_many = action.nargs in ("+", "*") or (isinstance(action.nargs, int) and action.nargs > 1)
    return Argument(tuple(action.option_strings), _values(action), is_many, text[:60])


def _values(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.choices is not None:
        return " ".join(map(str, action.choices))
    known = {
        "configuration": _CONFIGURATIONS,
        "configurations": _CONFIGURATIONS,
        "trainer": " ".join([*TRAINERS, STOCK_TRAINER]),
        "planner": f"{' '.join(PLANNERS)} {_STOCK_PLANNERS}",
        "selector": " ".join(_selectors(action.help or "")),
        "plans": PLANS,
        "plans_name": PLANS,
        "device": "cpu cuda",
        "axis": "auto axial coronal sagittal 0 1 2",
    }
    if action.dest in known:
        return known[action.dest]
    if "ID|NAME" in str(action.metavar) or action.dest == "dataset":
        return DATASETS
    return FILES if action.type is Path or action.dest == "group" else FREE


def _selectors(text: str) -> list[str]:
    """Selectors that a help text names, or all that need no trained network."""
    words = set(re.findall(r"\w+", text))
    return [n for n in selector_names() if n in words and "," in text] or first_selector_names()


_BASH = r"""
# completion of nnsparse and its commands
_nnsparse_table='{table}'

_nnsparse_datasets() {{
  local folder
  for folder in "${{nnUNet_raw:-$PWD/nnsparse_data/nnUNet_raw}}"/Dataset[0-9]*/; do
    folder="${{folder%/}}"
    case "$folder" in *[[:cntrl:]]*) continue ;; esac
    [ -d "$folder" ] && printf '%s\n' "${{folder##*/}}"
  done
}}

_nnsparse_plans() {{
  local file
  for file in "$nnUNet_preprocessed"/Dataset[0-9]*/*Plans*.json; do
    case "$file" in *[[:cntrl:]]*) continue ;; esac
    [ -f "$file" ] || continue
    file="${{file##*/}}"
    printf '%s\n' "${{file%.json}}"
  done | sort -u
}}

_nnsparse_values() {{
  case "$1" in
    {datasets}) _nnsparse_datasets ;;
    {plans}) _nnsparse_plans ;;
    {files}|{free}|'') ;;
    *) printf '%s\n' $1 ;;
  esac
}}

# lines that begin with what was typed; compgen -W would run commands that names hold
_nnsparse_offer() {{
  local word
  while IFS= read -r word; do
    case "$word" in '') ;; "$1"*) COMPREPLY+=("$word") ;; esac
  done
}}

_nnsparse() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" command="${{COMP_WORDS[0]##*/}}" at=1
  local whose option values many line kind words='' options='' last='' last_at=0 i
  COMPREPLY=()
  if [ "$command" = nnsparse ]; then
    if [ "$COMP_CWORD" -eq 1 ]; then
      _nnsparse_offer "$current" <<< "$(printf '%s\n' {commands})"
      return
    fi
    command="{prefix}${{COMP_WORDS[1]}}"
    at=2
  fi
  while IFS='|' read -r whose option many values; do
    [ "$whose" = "$command" ] && [ "$option" = SUB ] || continue
    if [ "$COMP_CWORD" -eq "$at" ]; then
      _nnsparse_offer "$current" <<< "$(printf '%s\n' $values)"
      return
    fi
    command="$command ${{COMP_WORDS[at]}}"
    at=$((at + 1))
    break
  done <<< "$_nnsparse_table"
  for ((i = COMP_CWORD - 1; i >= at; i--)); do
    case "${{COMP_WORDS[i]}}" in -[!0-9]*) last="${{COMP_WORDS[i]}}"; last_at=$i; break ;; esac
  done
  kind={files}
  while IFS='|' read -r whose option many values; do
    [ "$whose" = "$command" ] || continue
    case "$option" in
      SUB) ;;
      POS) [ -n "$last" ] || kind="$values" ;;
      *) options="$options $option"
         if [ "$option" = "$last" ] && [ -n "$values" ]; then
           if [ "$last_at" -eq $((COMP_CWORD - 1)) ] || [ "$many" = 1 ]; then
             kind="$values"
           fi
         fi ;;
    esac
  done <<< "$_nnsparse_table"
  case "$current" in
    -*) words="$(printf '%s\n' $options)" ;;
    *) words="$(_nnsparse_values "$kind")" ;;
  esac
  _nnsparse_offer "$current" <<< "$words"
  if [ "$kind" = {files} ] && [ "${{current#-}}" = "$current" ]; then
    _nnsparse_offer '' <<< "$(compgen -f -- "$current")"
  fi
}}

complete -o filenames -F _nnsparse nnsparse {all}
"""


def _bash(understood: Sequence[Understood], commands: Sequence[str]) -> str:
    rows = []
    for one in understood:
        if one.subcommands:
            rows.append(f"{one.command}|SUB||{' '.join(one.subcommands)}")
        for argument in one.arguments:
            for name in argument.names or ("POS",):
                rows.append(f"{one.command}|{name}|{int(argument.is_many)}|{argument.values}")
    return _BASH.format(
        table="\n".join(rows).replace("'", ""),
        commands=" ".join([*(name.removeprefix(PREFIX) for name in commands), "completion"]),
        all=" ".join(commands),
        prefix=PREFIX,
        datasets=DATASETS,
        plans=PLANS,
        files=FILES,
        free=FREE,
    ).lstrip()


_FISH = """\
# completion of nnsparse and its commands
function __nnsparse_datasets
  test -n "$nnUNet_raw"; or set -l nnUNet_raw $PWD/nnsparse_data/nnUNet_raw
  for folder in $nnUNet_raw/Dataset[0-9]*/
    string match -qr '[[:cntrl:]]' -- $folder; or basename $folder
  end
end

function __nnsparse_plans
  for file in $nnUNet_preprocessed/Dataset*/*Plans*.json
    string match -qr '[[:cntrl:]]' -- $file; or basename $file .json
  end | sort -u
end

complete -c nnsparse -f -n __fish_use_subcommand -a '{commands}'
"""


def _fish(understood: Sequence[Understood], commands: Sequence[str]) -> str:
    names = [*(name.removeprefix(PREFIX) for name in commands), "completion"]
    lines = [_FISH.format(commands=" ".join(names)).replace("Dataset[0-9]*", "Dataset*")]
    for one in understood:
        command, _, subcommand = one.command.partition(" ")
        short = command.removeprefix(PREFIX)
        for start, seen in (
            (f"complete -c {command}", [subcommand] if subcommand else []),
            ("complete -c nnsparse", [short, *([subcommand] if subcommand else [])]),
        ):
            wanted = [f"__fish_seen_subcommand_from {word}" for word in seen]
            if one.subcommands:
                without = "; and ".join(
                    [*wanted, f"not __fish_seen_subcommand_from {' '.join(one.subcommands)}"]
                )
                lines.append(f"{start} -f -n '{without}' -a '{' '.join(one.subcommands)}'")
            condition = f" -n '{'; and '.join(wanted)}'" if wanted else ""
            lines += [f"{start}{condition}{_fish_argument(argument)}" for argument in one.arguments]
    return "\n".join(lines)


def _fish_argument(argument: Argument) -> str:
    words = ""
    for name in argument.names:
        kind = "l" if name.startswith("--") else "s" if len(name) == 2 else "o"
        words += f" -{kind} {name.lstrip('-')}"
    found = {DATASETS: "(__nnsparse_datasets)", PLANS: "(__nnsparse_plans)"}
    if argument.values not in ("", FILES, FREE):
        flag = "-x" if argument.names else "-f"
        words += f" {flag} -a {shlex.quote(found.get(argument.values, argument.values))}"
    elif argument.values and argument.names:
        words += " -r" if argument.values == FILES else " -x"
    return words + f" -d {shlex.quote(argument.text)}"
