/** The benches of the product, each in its shortest form: minutes of a machine that has nothing else to do. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Row } from '../bench/report.ts'
import { assert, suite } from '../harness.ts'

const t = suite('footprint, flood and soak, run')

for (const [name, ids] of [
  ['../bench/footprint.ts', ['memory.resident', 'start.signed', 'disk.day', 'cpu']],
  ['../bench/flood.ts', []],
  ['../bench/soak.ts', ['memory.slope', 'descriptors', 'bench.late']],
] as const)
  t(
    `${name} runs, on the program as a gateway has it`,
    () => {
      const program = fileURLToPath(new URL(name, import.meta.url))
      const { status, stdout, stderr } = spawnSync(
        process.execPath,
        ['--import', 'tsx', program, '--smoke', '--json'],
        {
          encoding: 'utf8',
        },
      )
      assert.is(status, 0, stderr)
      const { rows } = JSON.parse(stdout) as { readonly rows: readonly Row[] }
      for (const { id, value } of rows) assert.ok(Number.isFinite(value), id)
      for (const id of ids)
        assert.ok(
          rows.some(row => row.id === id),
          id,
        )
      assert.ok(rows.length > 3)
    },
    240_000,
  )

t.run()
