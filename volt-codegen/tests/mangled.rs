//! Descriptors that no compiler wrote: they yield code that can be parsed, or an error, never a panic.

#![allow(clippy::unwrap_used)]

mod common;

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet, MessageOptions,
    MethodDescriptorProto, OneofDescriptorProto, ServiceDescriptorProto,
};
use volt_codegen::{Options, generate};

/// Numbers that look random and are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        // Marsaglia's xorshift.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    fn pick<'a, T>(&mut self, all: &'a mut [T]) -> Option<&'a mut T> {
        let index = self.below(all.len());
        all.get_mut(index)
    }

    fn remove<T>(&mut self, all: &mut Vec<T>) {
        if !all.is_empty() {
            all.remove(self.below(all.len()));
        }
    }

    fn repeat<T: Clone>(&mut self, all: &mut Vec<T>) {
        if let Some(one) = self.pick(all).cloned() {
            all.push(one);
        }
    }

    fn number(&mut self) -> Option<i32> {
        const NUMBERS: [Option<i32>; 12] = [
            None,
            Some(0),
            Some(-1),
            Some(1),
            Some(2),
            Some(3),
            Some(10),
            Some(11),
            Some(14),
            Some(19_000),
            Some(i32::MAX),
            Some(i32::MIN),
        ];
        NUMBERS[self.below(NUMBERS.len())]
    }

    fn name(&mut self) -> Option<String> {
        const NAMES: [&str; 24] = [
            "",
            "_",
            ".",
            "a b",
            "é",
            "0",
            "Self",
            "type",
            "key",
            "value",
            "id",
            "unit_price",
            "a.b",
            "..a",
            ".odd",
            ".odd.old.Old",
            ".odd.old.Level",
            ".odd.old.Old.Inner",
            ".odd.old.Old.LevelsEntry",
            ".shop.v1.Article",
            "shop.v1.Article",
            ".google.protobuf.Timestamp",
            ".google.protobuf.FeatureSet",
            "proto3",
        ];
        match self.below(NAMES.len() + 1) {
            0 => None,
            index => Some(NAMES[index - 1].to_owned()),
        }
    }

    fn mangle(&mut self, set: &mut FileDescriptorSet) {
        match self.below(12) {
            0 => return self.remove(&mut set.file),
            1 => return self.repeat(&mut set.file),
            _ => {}
        }
        let what = self.below(12);
        let (name, other) = (self.name(), self.below(4));
        let Some(file) = self.pick(&mut set.file) else { return };
        match what {
            0 if other == 0 => file.name = name,
            0 if other == 1 => file.syntax = name,
            0 => file.package = name,
            1 => self.service(&mut file.service),
            2 | 3 => self.enumeration(&mut file.enum_type),
            _ => self.message(&mut file.message_type),
        }
    }

    fn message(&mut self, messages: &mut Vec<DescriptorProto>) {
        match self.below(24) {
            0 => return self.remove(messages),
            1 => return self.repeat(messages),
            _ => {}
        }
        let name = self.name();
        let number = self.number();
        let choice = self.below(12);
        let Some(message) = self.pick(messages) else { return };
        match choice {
            0 => message.name = name,
            1 => self.remove(&mut message.oneof_decl),
            2 => message.oneof_decl.push(OneofDescriptorProto { name, options: None }),
            3 => {
                let map_entry = Some(number.is_some());
                message.options = Some(MessageOptions { map_entry, ..MessageOptions::default() });
            }
            4 => self.enumeration(&mut message.enum_type),
            5 | 6 if !message.nested_type.is_empty() => self.message(&mut message.nested_type),
            7 => self.remove(&mut message.field),
            8 => self.repeat(&mut message.field),
            _ => {
                if let Some(field) = self.pick(&mut message.field) {
                    self.field(field);
                }
            }
        }
    }

    fn field(&mut self, field: &mut FieldDescriptorProto) {
        match self.below(9) {
            0 => field.name = self.name(),
            1 => field.number = self.number(),
            2 => field.label = self.number(),
            3 => field.r#type = self.number(),
            4 => field.type_name = self.name(),
            5 => field.oneof_index = self.number(),
            6 => field.default_value = self.name(),
            7 => field.json_name = self.name(),
            _ => field.proto3_optional = Some(true),
        }
    }

    fn enumeration(&mut self, enums: &mut Vec<EnumDescriptorProto>) {
        match self.below(8) {
            0 => return self.remove(enums),
            1 => return self.repeat(enums),
            _ => {}
        }
        let (name, number, choice) = (self.name(), self.number(), self.below(5));
        let Some(item) = self.pick(enums) else { return };
        match choice {
            0 => item.name = name,
            1 => item.value.clear(),
            2 => self.repeat(&mut item.value),
            _ => {
                let Some(value) = self.pick(&mut item.value) else { return };
                if choice == 3 { value.name = name } else { value.number = number }
            }
        }
    }

    fn service(&mut self, services: &mut Vec<ServiceDescriptorProto>) {
        match self.below(8) {
            0 => return self.remove(services),
            1 => return self.repeat(services),
            _ => {}
        }
        let (name, choice) = (self.name(), self.below(5));
        let Some(service) = self.pick(services) else { return };
        match choice {
            0 => service.name = name,
            1 => self.repeat(&mut service.method),
            2 => service.method.push(MethodDescriptorProto { name, ..Default::default() }),
            _ => {
                let Some(method) = self.pick(&mut service.method) else { return };
                if choice == 3 { method.input_type = name } else { method.output_type = name }
            }
        }
    }
}

#[test]
fn mangled_descriptors_never_cause_a_panic() {
    let set = common::shop().compile().expect("it compiles");
    let mut counts = [0, 0];
    for seed in 1..=400 {
        let mut random = Random(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed));
        let mut mangled = set.clone();
        // A few changes at a time: most single ones are errors already.
        for _ in 0..=random.below(4) {
            random.mangle(&mut mangled);
        }
        match generate(&mangled, &Options::default()) {
            Ok(output) => {
                counts[0] += 1;
                for file in output.files {
                    if let Err(error) = syn::parse_file(&file.contents) {
                        panic!("seed {seed}: {}: {error}\n{}", file.path, file.contents);
                    }
                }
            }
            Err(error) => {
                counts[1] += 1;
                assert!(!error.problems().is_empty(), "seed {seed}");
                assert!(!error.to_string().contains("prost-build"), "seed {seed}: {error}");
            }
        }
    }
    // Both outcomes are frequent.
    assert!(counts.iter().all(|count| *count > 50), "{counts:?}");
}
