/** `tieline key` with a metering key in a TPM: the configuration, the command and swtpm together. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EXIT } from '../../../agent/cli/exit-codes.ts'
import { noSwtpm, startSwtpm } from '../../drivers/keys/tpm/swtpm.ts'
import { assert, suite } from '../../harness.ts'
import { smallSite } from '../small-site.ts'
import { runTieline } from './cli-run.ts'

const test = suite('tieline key and a TPM')

const folder = mkdtempSync(join(tmpdir(), 'tieline-key-tpm-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const file = join(folder, 'site.yaml')
/** An agent that starts is told at once to stop. */
const run = (...args: string[]) => runTieline([...args, '--config', file], { interrupted: Promise.resolve() })
const write = (metering: string) =>
  writeFileSync(
    file,
    smallSite(`{account: account.key, metering: ${metering}, sealing: sealing.key, passphrase_file: passphrase}`),
  )

test.skipIf(
  noSwtpm,
  'a key moves from a file into a TPM, and the agent opens it there',
  async () => {
    const sw = await startSwtpm()
    try {
      writeFileSync(join(folder, 'passphrase'), 'a long one\n', { mode: 0o600 })
      write('metering.key')
      assert.is((await run('key', 'init')).exit, EXIT.ok)
      const place = `{tpm: {device: "${sw.where}", handle: 0x81020001, auth_file: metering.auth}}`
      const moved = await run('key', 'rotate', 'metering', '--reason', 'moved', '--to', place, '--json')
      assert.is(moved.exit, EXIT.ok, moved.err)
      const [said] = moved.json()
      assert.is(said.trust, 'tpm')
      assert.is(statSync(join(folder, 'metering.auth')).mode & 0o777, 0o600)
      write(place)
      const shown = await run('key', 'show', '--json')
      assert.is(shown.exit, EXIT.ok, shown.err)
      const [{ keys, history }] = shown.json()
      const metering = keys.find((key: { use: string }) => key.use === 'metering')
      assert.is(metering.public, said.key)
      assert.is(metering.attestation.kind, 'tpm2-certify')
      assert.is(history[0].trust, 'tpm')
      assert.is((await run('run')).exit, EXIT.ok)
      // An emulator serves one connection at a time: the old key and the next one share it.
      const next = `{tpm: {device: "${sw.where}", handle: 0x81020002, auth_file: metering.auth}}`
      const unsaid = await run('key', 'rotate', 'metering')
      assert.match(unsaid.err, /keys\.no-place: say --to where .*, as in --to '\{tpm: \{.*handle: 0x81020002, .*\}\}'/)
      const within = await run('key', 'rotate', 'metering', '--to', next)
      assert.is(within.exit, EXIT.ok, within.err)
      write(next)
      // Nothing is made twice, and a TPM that is gone is named.
      assert.match((await run('key', 'init')).err, /handle 0x81020002: kept as it is$/m)
      await sw.kill()
      assert.match((await run('run')).err, /^maple does not start: tpm\./m)
    } finally {
      await sw.end()
    }
  },
  180_000,
)

test.run()
