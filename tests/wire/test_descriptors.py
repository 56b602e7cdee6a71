"""The generated descriptors say exactly what wire.txt says: nothing missing, nothing else, nothing different."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

TABLE = Path(__file__).parent / "wire.txt"
SCALARS = {
    number: name.removeprefix("TYPE_").lower()
    for name, number in descriptor_pb2.FieldDescriptorProto.Type.items()
    if name not in ("TYPE_MESSAGE", "TYPE_ENUM", "TYPE_GROUP")
}


def expected() -> dict[str, set[str]]:
    """File -> its facts, each a line such as `message Computation: 1 name string`."""
    facts: dict[str, set[str]] = {}
    path = owner = ""
    for line in TABLE.read_text().splitlines():
        if line.startswith("file "):
            path = line.removeprefix("file ")
            facts[path] = set()
        elif line.startswith("  "):
            facts[path].add(f"{owner}: {line.strip()}")
        elif line and not line.startswith("#"):
            owner = line
            facts[path].add(owner)
    return facts


def actual(path: str) -> set[str]:
    """The same facts of one generated file, read from its descriptor."""
    module = import_module(path.removesuffix(".proto").replace("/", ".") + "_pb2")
    file = descriptor_pb2.FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(file)
    assert file.name == path
    assert file.syntax == "proto3"
    facts: set[str] = set()

    def local(name: str) -> str:
        full = name.removeprefix(".")
        same = descriptor_pool.Default().FindFileContainingSymbol(full).package == file.package
        return full.removeprefix(f"{file.package}.") if same else full

    def add_enum(enum: descriptor_pb2.EnumDescriptorProto, scope: str) -> None:
        facts.add(f"enum {scope}{enum.name}")
        facts.update(f"enum {scope}{enum.name}: {value.number} {value.name}" for value in enum.value)

    def add_message(message: descriptor_pb2.DescriptorProto, scope: str) -> None:
        owner = f"message {scope}{message.name}"
        facts.add(owner)
        maps = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
        for field in message.field:
            kind = SCALARS.get(field.type) or local(field.type_name)
            entry = maps.get(kind.rpartition(".")[2])
            if entry is not None:
                kind = f"map[{' '.join(SCALARS[part.type] for part in entry.field)}]"
            elif field.label == field.LABEL_REPEATED:
                kind = f"[{kind}]"
            if field.proto3_optional:
                kind += "?"
            elif field.HasField("oneof_index"):
                kind += f" in {message.oneof_decl[field.oneof_index].name}"
            facts.add(f"{owner}: {'-' if field.options.deprecated else ''}{field.number} {field.name} {kind}")
        reserved = [str(number) for part in message.reserved_range for number in range(part.start, part.end)]
        if reserved:
            facts.add(f"{owner}: reserved {' '.join(reserved)}")
        for enum in message.enum_type:
            add_enum(enum, f"{scope}{message.name}.")
        for nested in message.nested_type:
            if nested.name not in maps:
                add_message(nested, f"{scope}{message.name}.")

    for enum in file.enum_type:
        add_enum(enum, "")
    for message in file.message_type:
        add_message(message, "")
    for service in file.service:
        facts.add(f"service {service.name}")
        for method in service.method:
            request = "*" * method.client_streaming + local(method.input_type)
            response = "*" * method.server_streaming + local(method.output_type)
            facts.add(f"service {service.name}: {method.name} {request} {response}")
    return facts


EXPECTED = expected()


@pytest.mark.parametrize("path", EXPECTED)
def test_a_file_says_exactly_what_the_table_says(path: str) -> None:
    assert actual(path) == EXPECTED[path]


def test_the_table_knows_every_file() -> None:
    root = Path(__file__).parents[2] / "proto"
    assert set(EXPECTED) == {file.relative_to(root).as_posix() for file in (root / "wfa").rglob("*.proto")}


def test_the_package_of_a_file_is_its_folder() -> None:
    for path in EXPECTED:
        module = import_module(path.removesuffix(".proto").replace("/", ".") + "_pb2")
        assert module.DESCRIPTOR.package == path.rpartition("/")[0].replace("/", ".")
