// The model that inference is measured on, in every form that a peer reads; made once, in the folder of temporary files.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const folder = `${tmpdir()}/lanewise-bench-gpt2-124m-words`;

/** Makes a file unless it is there; one that was not finished is never found. */
function once(file, make) {
  const path = `${folder}/${file}`;
  if (!existsSync(path)) {
    make(`${path}.part`);
    renameSync(`${path}.part`, path);
  }
  return path;
}

function run([command, ...args], env) {
  const { status } = spawnSync(command, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, ...env },
  });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed`);
}

/**
 * A GPT-2 124M of random weights with GPT-2's tokenizer.
 * @returns `folder` for lanewise, `onnx(form)` and `gguf(type)` for the others
 */
export function inferenceModel({ node, python }, env) {
  if (!existsSync(`${folder}/model.safetensors`)) {
    mkdirSync(folder, { recursive: true });
    run([node, here('make-model.mjs'), folder], env);
  }
  return {
    folder,
    onnx: (form) => once(`gpt2-${form}.onnx`, (out) => run([python, here('make_onnx.py'), folder, out, form])),
    gguf: (type) => once(`gpt2-${type}.gguf`, (out) => run([node, here('gguf.mjs'), folder, out, type])),
  };
}
