// Token ids, logits and greedy continuations from llama.cpp, for the scripts here that start this one.
//
//   node llamacpp.mjs NODE_MODULES MODEL.gguf JOB.json OUT.json
//
// NODE_MODULES is the folder that holds node-llama-cpp: it is outside the repository, so it cannot be found by name.
// JOB.json:  {"tokenize": [{text, special}], "greedy": [{ids, steps}], "logits": [ids], "nll": [ids],
//             "context": tokens (512 where it is not said)}
// OUT.json:  the same keys, each with one answer for each entry, and "llama_cpp": the version.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, modelPath, jobPath, outPath] = process.argv.slice(2);
if (!outPath) throw new Error("usage: node llamacpp.mjs NODE_MODULES MODEL.gguf JOB.json OUT.json");
const packageFolder = join(modules, "node-llama-cpp");
const { getLlama, LlamaLogLevel } = await import(pathToFileURL(join(packageFolder, "dist/index.js")));

const job = JSON.parse(readFileSync(jobPath, "utf8"));
// build: "never" keeps it to the binary from the package registry; two threads, for one and the same order of sums.
const llama = await getLlama({ gpu: false, build: "never", maxThreads: 2, logLevel: LlamaLogLevel.error });
const model = await llama.loadModel({ modelPath });
// An f32 cache and no flash attention: by default llama.cpp rounds keys and values to f16.
const context = await model.createContext({
    contextSize: job.context ?? 512,
    threads: 2,
    flashAttention: false,
    experimentalKvCacheKeyType: "F32",
    experimentalKvCacheValueType: "F32",
});
const sequence = context.getSequence();

/** Evaluates `ids` and returns what was asked for (`want`, of node-llama-cpp's `generateNext`) at the wanted places. */
async function evaluate(ids, want) {
    const results = await sequence.controlledEvaluate(
        ids.map((id, i) => {
            const generateNext = want(i);
            return generateNext ? [id, { generateNext }] : id;
        }),
    );
    return ids.map((_, i) => results[i]?.next);
}

const out = {};

out.tokenize = (job.tokenize ?? []).map(({ text, special }) => Array.from(model.tokenize(text, special)));

out.greedy = [];
for (const { ids, steps } of job.greedy ?? []) {
    await sequence.clearHistory();
    const answer = { ids: [], margins: [] };
    let input = ids;
    for (let step = 0; step < steps; step++) {
        // The choice is made here, from the raw logits, so that no sampler setting can have a part in it. An end token
        // is a token like any other: exactly `steps` tokens come back.
        const last = input.length - 1;
        const want = { logits: { filter: { tokens: [], includeTop: 2 } } };
        const { logits } = (await evaluate(input, (i) => i === last && want))[last];
        const best = [...logits].sort((a, b) => b[1] - a[1]);
        answer.ids.push(best[0][0]);
        answer.margins.push(best[0][1] - best[1][1]);
        input = [best[0][0]];
    }
    out.greedy.push(answer);
}

out.logits = [];
for (const ids of job.logits ?? []) {
    await sequence.clearHistory();
    const last = ids.length - 1;
    const { logits } = (await evaluate(ids, (i) => i === last && { logits: true }))[last];
    const all = new Array(logits.size);
    for (const [token, value] of logits) all[token] = value;
    out.logits.push(all);
}

out.nll = [];
for (const ids of job.nll ?? []) {
    await sequence.clearHistory();
    const answers = await evaluate(ids, (i) => i + 1 < ids.length && { logits: true });
    let sum = 0;
    for (let i = 0; i + 1 < ids.length; i++) {
        const { logits } = answers[i];
        let largest = -Infinity;
        for (const value of logits.values()) largest = Math.max(largest, value);
        let weight = 0;
        for (const value of logits.values()) weight += Math.exp(value - largest);
        sum += largest + Math.log(weight) - logits.get(ids[i + 1]);
    }
    out.nll.push(sum / (ids.length - 1));
}

const read = (name) => JSON.parse(readFileSync(join(packageFolder, name), "utf8"));
out.llama_cpp = `${read("llama/binariesGithubRelease.json").release} (node-llama-cpp ${read("package.json").version})`;
writeFileSync(outPath, JSON.stringify(out));
await llama.dispose();
