"""Ways to damage a file: bytes, lines, numbers and keys. The same random numbers give the same damage."""

import gzip
import re

NUMBER = re.compile(rb"(?<![A-Za-z_])[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
WORD = re.compile(rb"[A-Za-z_][A-Za-z_0-9]+")
ENERGY = re.compile(rb"(?i)energ|toten|e_0|e_fr|e_wo|\n.*,-\d")
INSTEAD = (
    b"nan", b"NaN", b"inf", b"-inf", b"1e400", b"-1e400", b"", b" ", b"*****", b"1_0", b"-3,7", b"0x10", b"True", b"null", b"--2.5",
    b"1e", b"1.2.3", b"9" * 40, b"-0", b"0", b"1e-320", b"\xef\xbc\x91\xef\xbc\x92", b"\xd9\xa3", b"+5", b"1D2", b"'1'", b"-7.25",
    b"1e30", b"2147483648", b"3 4",
)  # fmt: skip


def one_of(rng, items):
    return items[int(rng.integers(len(items)))]


def a_place(rng, content):
    """A place in a content, mostly one that holds something."""
    places = [one_of(rng, range(len(content))) for _ in range(8)]
    return next((place for place in places if content[place]), places[0])


def flip_bit(rng, content):
    place = a_place(rng, content)
    return content[:place] + bytes([content[place] ^ (1 << int(rng.integers(8)))]) + content[place + 1 :]


def set_byte(rng, content):
    place = a_place(rng, content)
    return content[:place] + bytes([int(rng.integers(256))]) + content[place + 1 :]


def delete_bytes(rng, content):
    place = a_place(rng, content)
    return content[:place] + content[place + int(rng.integers(1, 9)) :]


def insert_bytes(rng, content):
    place = a_place(rng, content)
    some = (
        bytes(rng.integers(0, 256, 4, dtype="u1").tolist()),
        b"\0",
        b"\n",
        b" ",
        b"\xff\xfe",
        b"-",
        b"9",
        b'"',
        b"\r",
        b",",
    )
    return content[:place] + one_of(rng, some) + content[place:]


def truncate(rng, content):
    return content[: one_of(rng, range(len(content)))]


def _lines(change):
    """A change to the lines of a content, given one of their places."""

    def changed(rng, content):
        lines = content.splitlines(keepends=True)
        return b"".join(change(rng, lines, one_of(rng, range(len(lines)))))

    changed.__name__ = change.__name__
    return changed


@_lines
def delete_line(_rng, lines, place):
    return lines[:place] + lines[place + 1 :]


@_lines
def duplicate_line(_rng, lines, place):
    return lines[: place + 1] + lines[place:]


@_lines
def swap_lines(rng, lines, place):
    other = one_of(rng, range(len(lines)))
    lines[place], lines[other] = lines[other], lines[place]
    return lines


@_lines
def cut_line(rng, lines, place):
    keep = one_of(rng, range(len(lines[place])))
    return [*lines[:place], lines[place][:keep] + b"\n", *lines[place + 1 :]]


@_lines
def copy_line_over_another(rng, lines, place):
    return [*lines[:place], one_of(rng, lines), *lines[place + 1 :]]


@_lines
def delete_lines(rng, lines, place):
    return lines[:place] + lines[place + int(rng.integers(2, 12)) :]


@_lines
def double_lines(rng, lines, place):
    stop = place + int(rng.integers(2, 12))
    return lines[:stop] + lines[place:]


def change_number(rng, content):
    """Another number, or what is none, in place of one; as often of an energy as of anything else."""
    found = list(NUMBER.finditer(content))
    if rng.random() < 0.5:
        named = [match.end() for match in ENERGY.finditer(content)]
        near = [match for match in found if any(0 <= match.start() - end < 60 for end in named[:400])]
        found = near or found
    if not found:
        return set_byte(rng, content)
    match = one_of(rng, found)
    old = match[0]
    digit = one_of(rng, [i for i, one in enumerate(old) if 48 <= one < 58])
    other = bytes([48 + int(rng.integers(10))])
    new = one_of(
        rng,
        [
            old[1:] if old[:1] in b"+-" else b"-" + old,
            old + one_of(rng, [b"e1", b"e-3", b"E+2", b"e5", b"0", b"7"]),
            old[:digit] + other + old[digit + 1 :],
            old[:digit] + other + old[digit + 1 :],
            old[:digit] + old[digit + 1 :],
            old.replace(b".", b""),
            old.replace(b".", b","),
            one_of(rng, INSTEAD),
            one_of(rng, INSTEAD),
            one_of(rng, found)[0],
        ],
    )
    return content[: match.start()] + new + content[match.end() :]


def change_key(rng, content):
    """Another word in place of one."""
    found = list(WORD.finditer(content))
    if not found:
        return flip_bit(rng, content)
    match = one_of(rng, found)
    old = match[0]
    place = one_of(rng, range(len(old)))
    new = one_of(
        rng,
        [old.swapcase(), old[:place] + old[place + 1 :], old + old, b"", old + b"_2", old[::-1], one_of(rng, found)[0]],
    )
    return content[: match.start()] + new + content[match.end() :]


MUTATIONS = (
    *(change_number,) * 8, *(change_key,) * 3, flip_bit, flip_bit, set_byte, delete_bytes, insert_bytes, insert_bytes, truncate,
    delete_line, delete_line, duplicate_line, swap_lines, cut_line, copy_line_over_another, delete_lines, double_lines,
)  # fmt: skip


def mutate(rng, files):
    """Files with some damage, and what was done in words."""
    files = dict(files)
    name = one_of(rng, sorted(files))
    if len(files) > 1 and rng.random() < 0.08:
        other = one_of(rng, sorted(files))
        match int(rng.integers(4)):
            case 0:
                del files[name]
                return files, f"removed {name}"
            case 1:
                files[name] = b""
                return files, f"emptied {name}"
            case 2:
                files[name], files[other] = files[other], files[name]
                return files, f"exchanged {name} and {other}"
            case _:
                files[name] = files[other]
                return files, f"{other} copied over {name}"
    content, said = files[name], []
    is_inside = name.endswith(".gz") and rng.random() < 0.7
    if is_inside:
        content = gzip.decompress(content)
    for _ in range(1 if rng.random() < 0.85 else 2):
        if content:
            how = one_of(rng, MUTATIONS)
            said.append(how.__name__)
            content = how(rng, content)
    files[name] = gzip.compress(content, mtime=0) if is_inside else content
    return files, f"{name}: {', '.join(said)}"
