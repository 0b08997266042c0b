"""Sample loops over the files of `export_training`: what a program without this package has to do."""

from __future__ import annotations

PYTHON = '''"""Trains from train.onnx with onnxruntime alone: python loop.py"""
import json

import numpy as np
import onnxruntime

step = onnxruntime.InferenceSession("train.onnx")
plan = json.loads(step.get_modelmeta().custom_metadata_map["sardonyx.training"])
first = onnxruntime.InferenceSession("state.onnx")
state = dict(zip([x.name for x in first.get_outputs()], first.run(None, {})))


def train(batch, labels, learning_rate=plan["learning_rate"]):
    """One step; batch and labels are arrays by name."""
    feed = {**batch, **labels, **{name: state[name] for name in plan["state"]}}
    if learning_rate is not None:
        feed["learning_rate"] = np.array(learning_rate, "float32")
    results = dict(zip([x.name for x in step.get_outputs()], step.run(None, feed)))
    state.update({name: results[after] for name, after in plan["next_state"].items()})
    return {name: float(results[name]) for name in plan["outputs"]}


if __name__ == "__main__":
    sizes = {x["name"]: [n if isinstance(n, int) else 8 for n in x["shape"]] for x in plan["inputs"] + plan["labels"]}
    zeros = {x["name"]: np.zeros(sizes[x["name"]], x["dtype"]) for x in plan["inputs"] + plan["labels"]}
    for _ in range(10):  # put your batches here
        batch, labels = ({x["name"]: zeros[x["name"]] for x in plan[kind]} for kind in ("inputs", "labels"))
        print(train(batch, labels))
'''

JAVASCRIPT = """// Trains from train.onnx with onnxruntime-node (or onnxruntime-web: change the import).
import * as ort from "onnxruntime-node";
import { readFileSync } from "node:fs";

// the manifest of train.onnx: metadata "sardonyx.training"
const text = readFileSync("train.onnx").toString("latin1");
const begin = text.indexOf('{"inputs"', text.indexOf("sardonyx.training"));
let depth = 0, end = begin;
do { depth += { "{": 1, "}": -1 }[text[end++]] ?? 0; } while (depth);
export const plan = JSON.parse(Buffer.from(text.slice(begin, end), "latin1").toString("utf8"));

const step = await ort.InferenceSession.create("train.onnx");
export const state = { ...(await (await ort.InferenceSession.create("state.onnx")).run({})) };

/** One step; batch and labels are ort.Tensor objects by name. */
export async function train(batch, labels, learningRate = plan.learning_rate) {
  const feed = { ...batch, ...labels };
  for (const name of plan.state) feed[name] = state[name];
  if (learningRate !== null) feed.learning_rate = new ort.Tensor("float32", [learningRate], []);
  const results = await step.run(feed);
  for (const [name, after] of Object.entries(plan.next_state)) state[name] = results[after];
  return Object.fromEntries(plan.outputs.map((name) => [name, results[name].data[0]]));
}
"""

CSHARP = """// Trains from train.onnx with the NuGet package Microsoft.ML.OnnxRuntime.
using System.Collections.Generic;
using System.Linq;
using System.Text.Json;
using Microsoft.ML.OnnxRuntime;

public sealed class Loop
{
    private readonly InferenceSession step = new InferenceSession("train.onnx");
    private readonly JsonElement plan;
    public readonly Dictionary<string, OrtValue> State;

    public Loop()
    {
        plan = JsonDocument.Parse(step.ModelMetadata.CustomMetadataMap["sardonyx.training"]).RootElement;
        using var first = new InferenceSession("state.onnx");
        var values = first.Run(new RunOptions(), new Dictionary<string, OrtValue>(), first.OutputNames);
        State = first.OutputNames.Zip(values).ToDictionary(pair => pair.First, pair => pair.Second);
    }

    /// One step; batch and labels are values by name. Returns loss and metrics.
    public Dictionary<string, float> Train(Dictionary<string, OrtValue> batch, float learningRate)
    {
        var feed = new Dictionary<string, OrtValue>(batch);
        foreach (var name in plan.GetProperty("state").EnumerateArray())
            feed[name.GetString()!] = State[name.GetString()!];
        if (plan.GetProperty("learning_rate").ValueKind == JsonValueKind.Number)
            feed["learning_rate"] = OrtValue.CreateTensorValueFromMemory(new[] { learningRate }, new long[0]);
        var results = step.OutputNames.Zip(step.Run(new RunOptions(), feed, step.OutputNames))
            .ToDictionary(pair => pair.First, pair => pair.Second);
        foreach (var pair in plan.GetProperty("next_state").EnumerateObject())
            State[pair.Name] = results[pair.Value.GetString()!];
        return plan.GetProperty("outputs").EnumerateArray()
            .Select(name => name.GetString()!)
            .ToDictionary(name => name, name => results[name].GetTensorDataAsSpan<float>()[0]);
    }
}
"""

LOOPS = {"loop.py": PYTHON, "loop.mjs": JAVASCRIPT, "loop.cs": CSHARP}
"""Contents by file name."""
