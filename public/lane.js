// A thread beside the engine's: the program of the worker that starts it, with a memory of its own. What it is to do
// comes through the memory that it is handed; see web/worker/src/lanes.rs.
importScripts('./tiller-worker.js');
onmessage = async ({ data: { module, memory, lane } }) => {
  await wasm_bindgen({ module_or_path: module });
  wasm_bindgen.work_in_lane(memory, lane);
  close();
};
