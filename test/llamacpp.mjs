// Reads a GGUF file with llama.cpp: llamacpp.mjs FILE TEXT WINDOW WINDOWS [IDS]. Prints the number of tokens of the
// text, whether they are those of IDS, a file of ids in JSON, and the perplexity of the first windows.
// needs: npm install --ignore-scripts node-llama-cpp@3.22.1 @node-llama-cpp/linux-x64@3.22.1, from there NODE_PATH.
import {readFileSync} from "node:fs";
import {createRequire} from "node:module";
import {pathToFileURL} from "node:url";

const entry = createRequire(process.env.NODE_PATH + "/").resolve("node-llama-cpp");
const {getLlama, LlamaLogLevel} = await import(pathToFileURL(entry));
const [file, text, window, windows, ids] = process.argv.slice(2);
const llama = await getLlama({gpu: false, build: "never", skipDownload: true, logLevel: LlamaLogLevel.error});
const model = await llama.loadModel({modelPath: file, useMmap: true});
const tokens = model.tokenize(readFileSync(text, "utf8"), false, "trimLeadingSpace");
const size = Number(window);
let sum = 0, count = 0;
for (let w = 0; w < Number(windows); w++) {
    const context = await model.createContext({contextSize: size, batchSize: size});
    const sequence = context.getSequence();
    const piece = tokens.slice(w * size, (w + 1) * size);
    const results = await sequence.controlledEvaluate(
        piece.map((token) => [token, {generateNext: {probabilities: true}}]));
    for (let i = 0; i + 1 < piece.length; i++, count++)
        sum -= Math.log(results[i].next.probabilities.get(piece[i + 1]));
    await context.dispose();
}
const wanted = ids ? JSON.parse(readFileSync(ids, "utf8")) : [];
const same = ids ? tokens.length === wanted.length && wanted.every((id, i) => id === tokens[i]) : null;
console.log(JSON.stringify({tokens: tokens.length, same, perplexity: Math.exp(sum / count)}));
process.exit(0);
