fn main() -> Result<(), volt_codegen::Error> {
    volt_codegen::build::compile_protos(["proto/kinds/v1/kinds.proto"], ["proto"])
}
