//! The calls of CUDA's driver that are needed, with their errors as ours.

use std::ffi::{CString, c_void};
use std::ptr;

use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys::{self, CUdevice_attribute_enum as Attribute};
use retrodict_engine::lower::{DeviceError, Kernel};

pub(crate) use cudarc::driver::sys::{CUdeviceptr, CUevent, CUfunction, CUgraphExec, CUstream};

/// An error of the driver, after which the device is lost to this process.
pub(crate) fn lost(error: DriverError) -> DeviceError {
    let name = error.error_name().ok().and_then(|name| name.to_str().ok()).unwrap_or("an error");
    let text = error.error_string().ok().and_then(|text| text.to_str().ok()).unwrap_or("");
    DeviceError::Lost(format!("{name} ({text})"))
}

/// Whether an error says that there is no memory left.
pub(crate) fn is_out_of_memory(error: DriverError) -> bool {
    error.0 == sys::cudaError_enum::CUDA_ERROR_OUT_OF_MEMORY
}

/// A device with its primary context, which all its memory, kernels and graphs belong to.
pub(crate) struct Context {
    device: sys::CUdevice,
    context: sys::CUcontext,
}

// SAFETY: a context may be used by several threads; each makes it current before its calls.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    /// The first device.
    pub(crate) fn first() -> Result<Context, DeviceError> {
        // SAFETY: it only looks for the library.
        if !unsafe { sys::is_culib_present() } {
            let what = "the NVIDIA driver's library (libcuda.so.1, nvcuda.dll) is not installed";
            return Err(DeviceError::Absent(what.to_owned()));
        }
        let absent = |error: DriverError| match lost(error) {
            DeviceError::Lost(what) => DeviceError::Absent(what),
            other => other,
        };
        result::init().map_err(absent)?;
        if result::device::get_count().map_err(absent)? == 0 {
            return Err(DeviceError::Absent("the NVIDIA driver sees no device".to_owned()));
        }
        let device = result::device::get(0).map_err(absent)?;
        // SAFETY: the device is there; the context is released when this is dropped.
        let context = unsafe { result::primary_ctx::retain(device) }.map_err(absent)?;
        Ok(Context { device, context })
    }

    /// Makes it current in this thread.
    pub(crate) fn enter(&self) -> Result<(), DeviceError> {
        // SAFETY: the context is retained.
        unsafe { result::ctx::set_current(self.context) }.map_err(lost)
    }

    pub(crate) fn name(&self) -> Result<String, DeviceError> {
        result::device::get_name(self.device).map_err(lost)
    }

    /// Major and minor.
    pub(crate) fn compute_capability(&self) -> Result<(i32, i32), DeviceError> {
        let of = |attribute| {
            // SAFETY: the device is there.
            unsafe { result::device::get_attribute(self.device, attribute) }.map_err(lost)
        };
        Ok((
            of(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
            of(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
        ))
    }

    pub(crate) fn free_bytes(&self) -> Result<u64, DeviceError> {
        self.enter()?;
        result::mem_get_info().map(|(free, _)| free as u64).map_err(lost)
    }

    /// The kernels of some PTX, in the order of [`Kernel::ALL`].
    pub(crate) fn load(&self, ptx: &str) -> Result<Vec<CUfunction>, DeviceError> {
        self.enter()?;
        let text = CString::new(ptx).expect("PTX is text");
        // SAFETY: the text ends with a zero; the module lives as long as the context.
        let module = unsafe { result::module::load_data(text.as_ptr().cast()) }.map_err(lost)?;
        let function = |kernel: &Kernel| {
            let name = CString::new(kernel.function()).expect("a C name");
            // SAFETY: the module is loaded.
            unsafe { result::module::get_function(module, name) }.map_err(lost)
        };
        Kernel::ALL.iter().map(function).collect()
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: it was retained once. An error here has nobody to go to.
        let _ = unsafe { result::primary_ctx::release(self.device) };
    }
}

/// A stream that does not wait for copies by other threads.
pub(crate) struct Stream(pub(crate) CUstream);

// SAFETY: streams may be used by any thread.
unsafe impl Send for Stream {}

impl Stream {
    pub(crate) fn new() -> Result<Stream, DeviceError> {
        let kind = result::stream::StreamKind::NonBlocking;
        result::stream::create(kind).map(Stream).map_err(lost)
    }

    /// Waits for all its work.
    pub(crate) fn wait(&self) -> Result<(), DeviceError> {
        // SAFETY: the stream exists.
        unsafe { result::stream::synchronize(self.0) }.map_err(lost)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: it was created once.
        let _ = unsafe { result::stream::destroy(self.0) };
    }
}

/// A point in a stream, with its time.
pub(crate) struct Event(CUevent);

impl Event {
    pub(crate) fn new() -> Result<Event, DeviceError> {
        let flags = sys::CUevent_flags::CU_EVENT_DEFAULT;
        result::event::create(flags).map(Event).map_err(lost)
    }

    pub(crate) fn record(&self, stream: &Stream) -> Result<(), DeviceError> {
        // SAFETY: both exist.
        unsafe { result::event::record(self.0, stream.0) }.map_err(lost)
    }

    /// Seconds from `earlier` to this, both of which are over.
    pub(crate) fn since(&self, earlier: &Event) -> Result<f64, DeviceError> {
        // SAFETY: both exist.
        let milliseconds = unsafe { result::event::elapsed(earlier.0, self.0) }.map_err(lost)?;
        Ok(f64::from(milliseconds) * 1e-3)
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: it was created once.
        let _ = unsafe { result::event::destroy(self.0) };
    }
}

/// A launch with its arguments, as the driver takes it.
pub(crate) struct Node {
    pub(crate) function: CUfunction,
    pub(crate) grid: [u32; 3],
    pub(crate) block: u32,
    /// The two parameters of every kernel: regions and arguments, as 8-byte words.
    pub(crate) parameters: [Vec<u64>; 2],
    /// Earlier nodes that it waits for.
    pub(crate) after: Vec<usize>,
}

impl Node {
    fn pointers(&mut self) -> [*mut c_void; 2] {
        self.parameters.each_mut().map(|words| words.as_mut_ptr().cast())
    }

    /// Launches it alone.
    pub(crate) fn launch(&mut self, stream: &Stream) -> Result<(), DeviceError> {
        let (grid, block) = (self.grid, self.block);
        let mut parameters = self.pointers();
        // SAFETY: the function has these two parameters (the table of kernels); they are copied.
        unsafe {
            let grid = (grid[0], grid[1], grid[2]);
            result::launch_kernel(self.function, grid, (block, 1, 1), 0, stream.0, &mut parameters)
        }
        .map_err(lost)
    }
}

/// A graph of launches, ready to be replayed.
pub(crate) struct Graph(CUgraphExec);

// SAFETY: graphs may be launched by any thread, one at a time.
unsafe impl Send for Graph {}

impl Graph {
    pub(crate) fn new(nodes: &mut [Node]) -> Result<Graph, DeviceError> {
        let mut graph = ptr::null_mut();
        // SAFETY: it writes the handle.
        unsafe { sys::cuGraphCreate(&raw mut graph, 0) }.result().map_err(lost)?;
        let built = Graph::fill(graph, nodes);
        // SAFETY: it was created above; what was instantiated does not need it.
        let _ = unsafe { result::graph::destroy(graph) };
        built
    }

    fn fill(graph: sys::CUgraph, nodes: &mut [Node]) -> Result<Graph, DeviceError> {
        let mut handles: Vec<sys::CUgraphNode> = Vec::with_capacity(nodes.len());
        for node in nodes {
            let before: Vec<sys::CUgraphNode> = node.after.iter().map(|&at| handles[at]).collect();
            let mut parameters = node.pointers();
            let [x, y, z] = node.grid;
            let description = sys::CUDA_KERNEL_NODE_PARAMS {
                func: node.function,
                gridDimX: x,
                gridDimY: y,
                gridDimZ: z,
                blockDimX: node.block,
                blockDimY: 1,
                blockDimZ: 1,
                sharedMemBytes: 0,
                kernelParams: parameters.as_mut_ptr(),
                extra: ptr::null_mut(),
                kern: ptr::null_mut(),
                ctx: ptr::null_mut(),
            };
            let mut handle = ptr::null_mut();
            // SAFETY: graph and earlier nodes exist; the function has these two parameters, which
            // are copied.
            unsafe {
                sys::cuGraphAddKernelNode_v2(
                    &raw mut handle,
                    graph,
                    before.as_ptr(),
                    before.len(),
                    &raw const description,
                )
            }
            .result()
            .map_err(lost)?;
            handles.push(handle);
        }
        let mut ready = ptr::null_mut();
        // SAFETY: the graph exists; it writes the handle.
        unsafe { sys::cuGraphInstantiateWithFlags(&raw mut ready, graph, 0) }
            .result()
            .map_err(lost)?;
        Ok(Graph(ready))
    }

    /// Runs it once, after what the stream does already.
    pub(crate) fn launch(&self, stream: &Stream) -> Result<(), DeviceError> {
        // SAFETY: both exist.
        unsafe { result::graph::launch(self.0, stream.0) }.map_err(lost)
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: it was instantiated once.
        let _ = unsafe { result::graph::exec_destroy(self.0) };
    }
}
