// What every engine's page does, by one clock. A page calls `measure` with
//
//     load(job, adapter)                 fetches the model and makes it ready; its result is kept as `about`
//     generate(prompt, tokens, onToken)  continues the prompt greedily, with nothing left from the run before; calls
//                                        `onToken` at each token; gives {text, promptTokens, tokens}
//
// What it has found out is posted after every step, so that an engine that hangs still shows how far it came.

const found = {};

const post = (address, body) => fetch(address, { method: 'POST', body: JSON.stringify(body) });

async function tell(more) {
  Object.assign(found, more);
  await post('/report', found);
}

const words = (error) => String(error?.message ?? error).split('\n')[0].slice(0, 300);

async function reading(engine, { prompt, tokens }) {
  const times = [];
  const start = performance.now();
  const { text, promptTokens, tokens: written } = await engine.generate(prompt, tokens, () => times.push(performance.now()));
  if (times.length < 2) throw new Error(`it wrote ${times.length} of ${tokens} tokens`);
  return {
    text,
    prompt_tokens: promptTokens,
    tokens: written,
    // The prompt is read when the first token is there; the later tokens are writing.
    prefill: (promptTokens * 1000) / (times[0] - start),
    decode: ((written - 1) * 1000) / (times.at(-1) - times[0]),
  };
}

// The adapter as the browser describes it, or null.
async function webgpu() {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) return null;
  const { vendor, architecture, description } = adapter.info;
  return { name: [vendor, architecture, description].filter(Boolean).join(' '), f16: adapter.features.has('shader-f16') };
}

export async function measure(engine) {
  const failed = (error) => tell({ error: words(error) });
  addEventListener('error', (event) => failed(event.error ?? event.message));
  addEventListener('unhandledrejection', (event) => failed(event.reason));
  try {
    const job = await (await fetch('/job')).json();
    if (job.threads === 0) job.threads = navigator.hardwareConcurrency;
    await tell({ isolated: crossOriginIsolated, threads: job.threads, adapter: job.gpu ? await webgpu() : null });
    if (job.gpu && !found.adapter) throw new Error('the browser gives no WebGPU adapter');
    const start = performance.now();
    const about = await engine.load(job, found.adapter);
    await tell({ load_s: (performance.now() - start) / 1000, about });
    // The first run compiles, and touches memory for the first time.
    await tell({ warm_up: await reading(engine, job) });
    const readings = [];
    for (let i = 0; i < job.readings; i++) {
      readings.push(await reading(engine, job));
      await tell({ readings });
    }
    await tell({ done: true });
  } catch (error) {
    await failed(error);
  }
}
