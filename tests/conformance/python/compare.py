"""Compares random messages with Python's protobuf: `cargo xtask conformance --python COUNT`.

Each message is written by Python in binary and in JSON, read and written by the generated code, and read
by Python again. All must be the same message. A difference for a known reason is counted under it.
"""

import json
import math
import random
import string
import struct
import subprocess
import sys
from collections import Counter

from google.protobuf import (
    any_pb2, descriptor_pb2, descriptor_pool, duration_pb2, empty_pb2, field_mask_pb2, json_format,
    message_factory, struct_pb2, timestamp_pb2, wrappers_pb2,
)
from google.protobuf.descriptor import FieldDescriptor as Field

KINDS = {
    Field.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    Field.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    Field.CPPTYPE_UINT32: (0, 2**32 - 1),
    Field.CPPTYPE_UINT64: (0, 2**64 - 1),
}
TEXT = string.printable + "äß\u00a0\u2028€🌍\u0000\u007f\\\"/"
# The depth to which messages are nested.
DEPTH = 4


class Types:
    """The message classes of the descriptors that the generated code was made of."""

    def __init__(self, descriptors):
        files = descriptor_pb2.FileDescriptorSet.FromString(descriptors).file
        self.pool = descriptor_pool.DescriptorPool()
        for file in files:
            self.pool.Add(file)
        names = [
            f"{file.package}.{message.name}"
            for file in files if file.package.startswith("random.")
            for message in file.message_type
        ]
        self.classes = {name: self.of(name) for name in names}

    def of(self, name):
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(name))


class Filler:
    """Fills messages with random values."""

    def __init__(self, types, seed):
        self.types, self.random = types, random.Random(seed)

    def text(self):
        length = self.random.choice([0, 0, 1, 3, 20, 130])
        return "".join(self.random.choice(TEXT) for _ in range(length))

    def integer(self, low, high):
        edges = [low, high, 0, 1, 2**24 + 1, 2**31, 2**53 + 1, -1]
        fits = [edge for edge in edges if low <= edge <= high]
        return self.random.choice([*fits, self.random.randint(low, high)])

    def double(self, single):
        edges = [0.0, -0.0, 1.0, -1.5, 0.1, 1e20, 1e-7, 123456789.0, math.inf, -math.inf, math.nan]
        edges += [3.4028234663852886e38, 1e-45] if single else [1.7976931348623157e308, 5e-324]
        if self.random.random() < 0.6:
            return self.random.choice(edges)
        return self.random.gauss(0, 10 ** self.random.randint(-6, 12))

    def value(self, field, depth):
        kind = field.cpp_type
        if kind in KINDS:
            return self.integer(*KINDS[kind])
        if kind in (Field.CPPTYPE_FLOAT, Field.CPPTYPE_DOUBLE):
            value = self.double(kind == Field.CPPTYPE_FLOAT)
            return struct.unpack("f", struct.pack("f", value))[0] if kind == Field.CPPTYPE_FLOAT else value
        if kind == Field.CPPTYPE_BOOL:
            return self.random.random() < 0.5
        if kind == Field.CPPTYPE_ENUM:
            numbers = [value.number for value in field.enum_type.values]
            # Enums of proto3 are open.
            is_open = not field.enum_type.is_closed and field.enum_type.name != "NullValue"
            return self.random.choice(numbers + ([12345] if is_open else []))
        if field.type == Field.TYPE_BYTES:
            return self.random.randbytes(self.random.choice([0, 1, 2, 3, 40]))
        return self.text()

    def fill(self, message, depth=0):
        """Sets some fields, and all that are required."""
        special = SPECIAL.get(message.DESCRIPTOR.full_name)
        if special:
            special(self, message, depth)
            return message
        for field in message.DESCRIPTOR.fields:
            if not field.is_required and self.random.random() < 0.4:
                continue
            if field.message_type and depth >= DEPTH and not field.is_required:
                continue
            count = self.random.choice([0, 1, 2, 5])
            if field.message_type and field.message_type.GetOptions().map_entry:
                self.map(getattr(message, field.name), field.message_type, count, depth)
            elif field.is_repeated:
                into = getattr(message, field.name)
                for _ in range(count):
                    if field.message_type:
                        self.fill(into.add(), depth + 1)
                    else:
                        into.append(self.value(field, depth))
            elif field.message_type:
                into = getattr(message, field.name)
                into.SetInParent()
                self.fill(into, depth + 1)
            else:
                setattr(message, field.name, self.value(field, depth))
        return message

    def map(self, into, entry, count, depth):
        key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
        for _ in range(count):
            name = self.value(key, depth)
            if value.message_type:
                self.fill(into[name], depth + 1)
            else:
                into[name] = self.value(value, depth)


def timestamp(filler, message, _):
    message.seconds = filler.random.choice([-62135596800, 253402300799, 0, filler.random.randint(-10**10, 10**11)])
    message.nanos = filler.random.choice([0, 1, 1000, 500_000_000, 999_999_999])


def duration(filler, message, _):
    sign = filler.random.choice([1, -1])
    message.seconds = sign * filler.random.choice([0, 1, 315_576_000_000, filler.random.randint(0, 10**9)])
    message.nanos = sign * filler.random.choice([0, 1, 1000, 500_000_000, 999_999_999])


def mask(filler, message, _):
    for _ in range(filler.random.choice([0, 1, 3])):
        message.paths.append(filler.random.choice(["a", "foo_bar", "a.b_c.d", "x1.y"]))


def value(filler, message, depth):
    kind = filler.random.randrange(6 if depth < DEPTH else 4)
    if kind == 0:
        message.null_value = 0
    elif kind == 1:
        message.number_value = filler.random.choice([0.0, -0.0, 1.0, -2.5, 1e300, float(2**60)])
    elif kind == 2:
        message.string_value = filler.text()
    elif kind == 3:
        message.bool_value = filler.random.random() < 0.5
    elif kind == 4:
        message.struct_value.SetInParent()
        structure(filler, message.struct_value, depth + 1)
    else:
        message.list_value.SetInParent()
        values(filler, message.list_value, depth + 1)


def structure(filler, message, depth):
    for _ in range(filler.random.choice([0, 1, 3])):
        value(filler, message.fields[filler.text()], depth)


def values(filler, message, depth):
    for _ in range(filler.random.choice([0, 1, 3])):
        value(filler, message.values.add(), depth)


def anything(filler, message, depth):
    if filler.random.random() < 0.1:
        return
    names = ["google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.StringValue",
             "google.protobuf.Struct", "google.protobuf.FieldMask", "google.protobuf.Empty"]
    name = filler.random.choice(names + list(filler.types.classes))
    inner = filler.fill(filler.types.of(name)(), depth + 1)
    message.type_url = "type.googleapis.com/" + name
    message.value = inner.SerializeToString(deterministic=True)


SPECIAL = {
    "google.protobuf.Any": anything,
    "google.protobuf.Duration": duration,
    "google.protobuf.FieldMask": mask,
    "google.protobuf.ListValue": values,
    "google.protobuf.Struct": structure,
    "google.protobuf.Timestamp": timestamp,
    "google.protobuf.Value": value,
}


class Testee:
    """The generated code, in its own process."""

    def __init__(self, program):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([program, "random"], stdin=pipe, stdout=pipe, text=True)
        self.descriptors = bytes.fromhex(self.process.stdout.readline())

    def convert(self, name, source, target, data):
        self.process.stdin.write(f"{name} {source} {target} {data.hex()}\n")
        self.process.stdin.flush()
        kind, _, rest = self.process.stdout.readline().rstrip("\n").partition(" ")
        if kind != "ok":
            raise ValueError(rest)
        return bytes.fromhex(rest)


def plain(message, types):
    """The message as values that can be compared: NaN equals itself. The second form has no negative
    zeros in places where their absence means zero, as prost does not write them there."""
    def one(field, item, implicit, lossy):
        if field.message_type:
            return walk(item, lossy)
        if isinstance(item, float):
            if lossy and implicit and item == 0:
                return 0.0, "0.0"
            return None, repr(item)
        return item

    def walk(message, lossy):
        if message.DESCRIPTOR.full_name == "google.protobuf.Any" and message.type_url:
            inner = types.of(message.type_url.rpartition("/")[2]).FromString(message.value)
            return message.type_url, walk(inner, lossy)
        found = {}
        for field in message.DESCRIPTOR.fields:
            item = getattr(message, field.name)
            is_map = field.message_type and field.message_type.GetOptions().map_entry
            if is_map:
                held = field.message_type.fields_by_name["value"]
                found[field.name] = {key: one(held, item[key], True, lossy) for key in item}
            elif field.is_repeated:
                found[field.name] = [one(field, each, False, lossy) for each in item]
            elif field.has_presence:
                if message.HasField(field.name):
                    implicit = message.DESCRIPTOR.full_name in WRAPPERS
                    found[field.name] = one(field, item, implicit, lossy)
            else:
                found[field.name] = one(field, item, True, lossy)
        return found

    return walk(message, False), walk(message, True)


WRAPPERS = ("google.protobuf.DoubleValue", "google.protobuf.FloatValue")
ZERO = "a negative zero without presence is not in the binary form: prost compares it with the default"


LARGEST = "Python rejects 3.4028235e38, the shortest text of the largest float, as too large"


def same(one, other):
    """Whether two JSON values are equal. Texts of one float may have different numbers of digits."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float) and one != other:
        try:
            return struct.pack("f", one) == struct.pack("f", other)
        except OverflowError:
            return False
    return one == other


def loads(text):
    """JSON in which all numbers are floats: 1 and 1.0 are the same."""
    return json.loads(text, parse_int=float)


def main(program, count, seed):
    testee = Testee(program)
    types = Types(testee.descriptors)
    known, checked, failures = Counter(), Counter(), []
    for name, cls in sorted(types.classes.items()):
        filler = Filler(types, f"{seed} {name}")
        for number in range(count):
            message = filler.fill(cls())
            exact, lossy = plain(message, types)
            binary = message.SerializeToString(deterministic=True)
            text = json_format.MessageToJson(message, descriptor_pool=types.pool)
            original = json_format.MessageToJson(
                message, descriptor_pool=types.pool, preserving_proto_field_name=True)
            for source, data in [("binary", binary), ("json", text.encode()), ("json", original.encode())]:
                for target in ["binary", "camel", "original"]:
                    checked[f"{source} to {target}"] += 1
                    try:
                        output = testee.convert(name, source, target, data)
                        back = cls()
                        if target == "binary":
                            back.ParseFromString(output)
                        else:
                            json_format.Parse(output.decode(), back, descriptor_pool=types.pool)
                        found = plain(back, types)
                        if found[0] != exact:
                            if found[1] != lossy:
                                raise ValueError(f"{found[0]} differs from {exact}")
                            known[ZERO] += 1
                        elif target != "binary":
                            expected = text if target == "camel" else original
                            if not same(loads(output), loads(expected)):
                                raise ValueError(f"{output.decode()} differs from {expected}")
                    except json_format.ParseError as error:
                        if "Float value too large" in str(error) and b"3.4028235e" in output:
                            known[LARGEST] += 1
                        else:
                            failures.append(f"{name} {number} {source} to {target}: {error!r}")
                    except ValueError as error:
                        failures.append(f"{name} {number} {source} to {target}: {error!r}")
    print(f"{len(types.classes)} types, {count} messages each, seed {seed}")
    for way, total in sorted(checked.items()):
        print(f"  {way}: {total}")
    for reason, total in known.items():
        print(f"  known difference, {total} times: {reason}")
    for failure in failures[:20]:
        print("  " + failure[:2000])
    print(f"{sum(checked.values()) - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
