/** `tieline key` with a metering key in a TPM. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { EXIT } from '../../../agent/cli/exit-codes.ts'
import { tieline } from '../../../agent/cli/tieline.ts'
import { systemEntropy } from '../../../drivers/crypto/entropy.ts'
import { openTpmKey } from '../../../drivers/keys/tpm/open-key.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { noSwtpm, startSwtpm, time } from '../../drivers/keys/tpm/swtpm.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('tieline key, tpm')

const siteWith = (device: string): string => `version: 1
site: maple
role: household
data: data
keys:
  account: keys/account.key
  metering: {tpm: {device: '${device}', handle: 0x81020001, auth_file: keys/metering.auth}}
  sealing: keys/sealing.key
  passphrase_file: passphrase
ledger:
  chain: street-1
  trust: {height: 1, hash: ${'ab'.repeat(32)}}
  primary: http://127.0.0.1:9
  witnesses: []
brokers: [mqtt://127.0.0.1:9]
lines: {lan: {tcp: 127.0.0.1:9}}
meters: {grid: {line: lan, protocol: modbus-tcp, page: shelly-pro-3em, unit: 1}}
trade: {slot: 60s, energy: 1kWh}
`

/** Each command opens sealed files, which is slow by design. */
const DEADLINE_MS = 90_000

test.skipIf(
  noSwtpm,
  'a key is made in the TPM, kept by the next init, and shown with what is unproven',
  async () => {
    const sw = await startSwtpm()
    try {
      const folder = join(sw.folder, 'site')
      mkdirSync(folder)
      const config = join(folder, 'site.yaml')
      writeFileSync(config, siteWith(sw.where))
      writeFileSync(join(folder, 'passphrase'), 'correct horse\n', { mode: 0o600 })
      let heard = ''
      const run = async (command: string) => {
        let out = ''
        const terminal = {
          out: (text: string) => {
            out += text
          },
          err: (text: string) => {
            out += text
          },
          colour: false,
          env: {},
        }
        const exit = await tieline([...command.split(' '), '--config', config], terminal, () => Promise.resolve())
        heard += out
        return { exit, out }
      }
      assert.is((await run('key init')).exit, EXIT.ok)
      const again = await run('key init')
      assert.match(again.out, /0x81020001: kept as it is/)
      assert.match(again.out, /trust tpm: certified by the TPM .*; unproven: /)
      const shown = JSON.parse((await run('key show --json')).out) as {
        readonly keys: readonly { readonly use: string; readonly public: string; readonly trust?: string }[]
      }
      const metering = shown.keys.find(({ use }) => use === 'metering')!
      assert.is(metering.trust, 'tpm')
      // What the command line calls the key is what the TPM signs with.
      const authFile = join(folder, 'keys', 'metering.auth')
      const source = { device: sw.where, handle: 0x8102_0001, authFile }
      const key = must(await openTpmKey(source, time, systemEntropy))
      assert.is(toHex(key.signer.publicKey), metering.public)
      await key.close()
      assert.not.ok(heard.includes(readFileSync(authFile, 'utf8').trim()))
      await sw.kill()
      const gone = await run('key show')
      assert.is(gone.exit, EXIT.unavailable)
      assert.match(gone.out, /tpm\.absent/)
    } finally {
      await sw.end()
    }
  },
  DEADLINE_MS,
)

test.run()
