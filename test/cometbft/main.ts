/**
 * Our ledger on real CometBFT, and CometBFT's light client on our producer.
 *
 *     npm run test:cometbft -- --blocks 200 --versions v0.38.25,v0.40.0 --seed 7
 *
 * Ends with `N passed, N failed, N skipped`.
 */
import { parseArgs } from 'node:util'
import { findCometbft } from './binary.ts'
import { runEvidence } from './evidence.ts'
import { runFourNodes } from './four-nodes.ts'
import { type Outcome, runLightProxy } from './light-proxy.ts'

const { values } = parseArgs({
  options: {
    blocks: { type: 'string', default: '200' },
    versions: { type: 'string', default: 'v0.38.25,v0.40.0' },
    seed: { type: 'string', default: String(process.pid) },
    /** Only what a full node says of our evidence, what CometBFT's light client says of our producer, or the nodes. */
    only: { type: 'string' },
    verbose: { type: 'boolean', default: false },
  },
})
const blocks = Number(values.blocks)
const seed = Number(values.seed)
if (!Number.isSafeInteger(blocks) || blocks < 1 || !Number.isSafeInteger(seed)) {
  process.stderr.write('--blocks and --seed are whole numbers\n')
  process.exit(2)
}

const say = (line: string) => process.stdout.write(`${line}\n`)
let passed = 0
let failed = 0
let skipped = 0
for (const version of values.versions.split(',')) {
  const found = findCometbft(version)
  if (!found.ok) {
    say(`skip CometBFT ${version}: ${found.why}`)
    skipped++
    continue
  }
  const binary = found.path
  const outcomes: Outcome[] = []
  if (values.only === undefined || values.only === 'evidence') {
    const judged = await runEvidence({ binary })
    for (const { name, ok, detail } of judged) say(`${ok ? 'ok  ' : 'FAIL'} ${version}: evidence: ${name}: ${detail}`)
    outcomes.push(...judged)
  }
  if (values.only === undefined || values.only === 'light') {
    const proxied = await runLightProxy({ binary, log: values.verbose ? say : () => {} })
    for (const { name, ok, detail } of proxied) {
      say(`${ok ? 'ok  ' : 'FAIL'} ${version}: light: ${name}: ${ok ? detail.split('\n')[0]!.slice(0, 120) : detail}`)
    }
    outcomes.push(...proxied)
  }
  if (values.only === undefined || values.only === 'nodes')
    outcomes.push(...(await runFourNodes({ binary, version, blocks, seed, log: say })))
  passed += outcomes.filter(({ ok }) => ok).length
  failed += outcomes.filter(({ ok }) => !ok).length
}
say(`${passed} passed, ${failed} failed, ${skipped} skipped`)
process.exit(failed === 0 ? 0 : 1)
