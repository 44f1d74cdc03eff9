"""Messages in their one encoding (ledger.md, "Notation and encoding"), read by the schemas beside this folder."""
import glob
import os
import re
from collections import namedtuple

Field = namedtuple("Field", "number name kind repeated oneof")
SCHEMAS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
DEEPEST = 16
VARINTS = {"uint32": 32, "uint64": 64, "sint32": 32, "sint64": 64, "bool": 1}


class Malformed(Exception):
    """Bytes that are not the one strict encoding of a message."""


def load(folder):
    """Every message of the schemas: name -> fields by number; enumerations count as uint32."""
    messages, enums = {}, set()
    for path in sorted(glob.glob(os.path.join(folder, "*.proto"))):
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"//[^\n]*", "", file.read())
        enums.update(re.findall(r"\benum (\w+)", text))
        name = oneof = None
        for line in re.findall(r"message \w+ \{|oneof \w+ \{|enum \w+ \{|\}|[^;{}]+;", text):
            line = line.strip()
            if line.startswith("message"):
                name, oneof = line.split()[1], None
                messages[name] = {}
            elif line.startswith("oneof"):
                oneof = line.split()[1]
            elif line.startswith("enum"):
                oneof = "enum"
            elif line == "}":
                name, oneof = (name, None) if oneof else (None, None)
            elif name and oneof != "enum":
                match = re.fullmatch(r"(repeated )?(\w+) (\w+) = (\d+);", line)
                if match:
                    number = int(match[4])
                    messages[name][number] = Field(number, match[3], match[2], bool(match[1]), oneof)
    for fields in messages.values():
        for number, field in fields.items():
            if field.kind in enums:
                fields[number] = field._replace(kind="uint32")
    return messages


MESSAGES = load(SCHEMAS)


class Message:
    """Field values by name; a field at its default reads as 0, empty bytes, empty list or None."""

    def __init__(self, name):
        self.name, self.values = name, {}

    def __getattr__(self, field):
        for known in MESSAGES[self.name].values():
            if known.name == field:
                return self.values.get(field, default(known))
        raise AttributeError(field)

    def has(self, field):
        return field in self.values

    def body(self):
        """Name of the oneof field that is set, or None."""
        for known in MESSAGES[self.name].values():
            if known.oneof and known.name in self.values:
                return known.name
        return None

    def encoded(self):
        out = bytearray()
        for number in sorted(MESSAGES[self.name]):
            field = MESSAGES[self.name][number]
            if field.name in self.values:
                encode_field(out, field, self.values[field.name])
        return bytes(out)


def make(name, **fields):
    """A message of these fields, written in its one encoding."""
    message = Message(name)
    message.values = {field: value for field, value in fields.items() if value}
    return message


def default(field):
    if field.repeated:
        return []
    if field.kind in VARINTS:
        return 0
    return {"bytes": b"", "string": ""}.get(field.kind)


def varint(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def number_bytes(kind, value):
    if kind.startswith("sint"):
        value = value * 2 if value >= 0 else -value * 2 - 1
    return varint(value)


def encode_field(out, field, value):
    values = value if field.repeated else [value]
    if field.kind in VARINTS:
        if field.repeated:
            packed = b"".join(number_bytes(field.kind, one) for one in values)
            if packed:
                out += varint(field.number << 3 | 2) + varint(len(packed)) + packed
        elif value or field.oneof:
            out += varint(field.number << 3) + number_bytes(field.kind, value)
        return
    for one in values:
        if field.kind == "string":
            content = one.encode()
        else:
            content = one if field.kind == "bytes" else one.encoded()
        if content or field.repeated or field.oneof or field.kind not in ("bytes", "string"):
            out += varint(field.number << 3 | 2) + varint(len(content)) + content


class Reader:
    def __init__(self, data):
        self.data, self.place = data, 0

    def varint(self):
        value = shift = 0
        while True:
            if self.place >= len(self.data) or shift > 63:
                raise Malformed("a number does not end")
            byte = self.data[self.place]
            self.place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                if value >> 64:
                    raise Malformed("a number is too large")
                return value

    def take(self, count):
        if count > len(self.data) - self.place:
            raise Malformed("a field ends too early")
        self.place += count
        return self.data[self.place - count:self.place]


def number_value(kind, raw):
    bits = VARINTS[kind]
    raw = int(raw != 0) if bits == 1 else raw & (1 << bits) - 1
    return (raw >> 1) ^ -(raw & 1) if kind.startswith("sint") else raw


def read(name, data, depth=1):
    """Reads a message leniently; `parse` then refuses all but its one encoding."""
    if depth > DEEPEST:
        raise Malformed("messages nest too deep")
    message, reader = Message(name), Reader(data)
    while reader.place < len(data):
        key = reader.varint()
        field = MESSAGES[name].get(key >> 3)
        if field is None:
            raise Malformed(f"this {name} holds an unknown field")
        if field.kind in VARINTS:
            if field.repeated and key & 7 == 2:
                inner = Reader(reader.take(reader.varint()))
                values = message.values.setdefault(field.name, [])
                while inner.place < len(inner.data):
                    values.append(number_value(field.kind, inner.varint()))
                continue
            if key & 7 != 0:
                raise Malformed("a field has another type")
            value = number_value(field.kind, reader.varint())
        else:
            if key & 7 != 2:
                raise Malformed("a field has another type")
            value = bytes(reader.take(reader.varint()))
            if field.kind == "string":
                try:
                    value = value.decode("utf-8")
                except UnicodeDecodeError:
                    raise Malformed("a text is not UTF-8") from None
            elif field.kind != "bytes":
                value = read(field.kind, value, depth + 1)
        if field.repeated:
            message.values.setdefault(field.name, []).append(value)
        else:
            if field.oneof:
                for other in MESSAGES[name].values():
                    if other.oneof == field.oneof:
                        message.values.pop(other.name, None)
            message.values[field.name] = value
    return message


def parse(name, data):
    """Reads a message and refuses every other encoding of it."""
    message = read(name, data)
    if message.encoded() != data:
        raise Malformed(f"the bytes of this {name} are not in canonical form")
    return message
