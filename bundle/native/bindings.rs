//! Writes mlx-sys' `bindings.rs` on x86-64 Linux: `bindings MLX_C_FOLDER OUTPUT`.
//!
//! bundle/setup builds it with `MLX_SYS` set to the crate's folder, so that bindgen's options are those of mlx-sys itself.

#[allow(dead_code)]
mod bindgen_config {
    include!(concat!(env!("MLX_SYS"), "/src/bindgen_config.rs"));
}

/// mlx-c declares these on Arm alone; shim.cpp defines them. Types and names are those that bindgen makes there.
const HALVES: &str = "
#[repr(transparent)]
#[derive(Debug, Default, Copy, Clone)]
pub struct __BindgenFloat16(pub u16);
pub type float16_t = __BindgenFloat16;
pub type bfloat16_t = u16;
unsafe extern \"C\" {
    pub fn mlx_array_item_float16(res: *mut float16_t, arr: mlx_array) -> ::std::os::raw::c_int;
    pub fn mlx_array_item_bfloat16(res: *mut bfloat16_t, arr: mlx_array) -> ::std::os::raw::c_int;
    pub fn mlx_array_data_float16(arr: mlx_array) -> *const float16_t;
    pub fn mlx_array_data_bfloat16(arr: mlx_array) -> *const bfloat16_t;
}
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1).map(std::path::PathBuf::from);
    let (Some(mlx_c), Some(output)) = (arguments.next(), arguments.next()) else {
        return Err("usage: bindings MLX_C_FOLDER OUTPUT".into());
    };
    let headers = bindgen_config::discover_headers(&mlx_c)?;
    let bindings = bindgen_config::builder(&mlx_c, &headers).generate()?;
    std::fs::write(output, format!("{bindings}{HALVES}"))?;
    Ok(())
}
