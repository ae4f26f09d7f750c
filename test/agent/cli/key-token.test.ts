/** `tieline key` with a metering key behind PKCS#11: the configuration, the command and a token together. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EXIT } from '../../../agent/cli/exit-codes.ts'
import { noSoftHsm, openSoftHsm, PIN, SOFTHSM_MODULE, type SoftHsm } from '../../drivers/keys/pkcs11/softhsm.ts'
import { assert, suite } from '../../harness.ts'
import { smallSite } from '../small-site.ts'
import { runTieline } from './cli-run.ts'

const test = suite('tieline key and a token')

const hsm = noSoftHsm === undefined ? openSoftHsm('grid') : (undefined as unknown as SoftHsm)
const folder = mkdtempSync(join(tmpdir(), 'tieline-token-'))
process.once('exit', () => {
  hsm?.end()
  rmSync(folder, { recursive: true, force: true })
})
const file = join(folder, 'site.yaml')
const inToken = (key: string) => `{pkcs11: {module: ${SOFTHSM_MODULE}, token: grid, key: ${key}, pin_file: pin}}`
function write(metering: string): void {
  writeFileSync(
    file,
    smallSite(`{account: account.key, metering: ${metering}, sealing: sealing.key, passphrase_file: passphrase}`),
  )
}
writeFileSync(join(folder, 'passphrase'), 'a long one\n', { mode: 0o600 })
writeFileSync(join(folder, 'pin'), PIN, { mode: 0o600 })
/** An agent that starts is told at once to stop. */
const run = (...args: string[]) => runTieline([...args, '--config', file], { interrupted: Promise.resolve() })
const on = (name: string, body: () => Promise<void>) => test.skipIf(noSoftHsm, name, body, 180_000)

on('init makes the key inside the token, show says what the token says of it', async () => {
  write(inToken('metering'))
  const made = await run('key', 'init', '--json')
  assert.is(made.exit, EXIT.ok, made.err)
  assert.match(made.err, /^token "grid", key "metering": made$/m)
  const [{ keys }] = made.json()
  const metering = keys.find((key: { use: string }) => key.use === 'metering')
  assert.is(metering.alg, 'ES256')
  assert.is(metering.trust, 'token')
  assert.is(metering.attestation.kind, 'pkcs11-attributes')
  assert.is(metering.attestation.verified, false)
  assert.not.match(`${made.out}${made.err}`, new RegExp(PIN))
})

on('rotation goes on under a second key of the token, which the agent then opens', async () => {
  const rotated = await run('key', 'rotate', 'metering')
  assert.is(rotated.exit, EXIT.ok, rotated.err)
  assert.ok(rotated.err.includes('key: metering-2, pin_file: '), rotated.err)
  assert.match((await run('run')).err, /^maple does not start: keys\.superseded/m)
  write(inToken('metering-2'))
  assert.is((await run('run')).exit, EXIT.ok)
})

on('a token that is not there, a key that is not in it and a wrong PIN have exit codes of their own', async () => {
  write(inToken('metering-9'))
  assert.is((await run('run')).exit, EXIT.configuration)
  write(inToken('metering-2').replace('token: grid', 'token: pulled'))
  const gone = await run('run')
  assert.is(gone.exit, EXIT.unavailable)
  assert.match(gone.err, /keys\.no-token \(token=pulled found=grid/)
  write(inToken('metering-2'))
  writeFileSync(join(folder, 'pin'), '11111111')
  const wrong = await run('run')
  assert.is(wrong.exit, EXIT.permission)
  assert.match(wrong.err, /keys\.pin-wrong/)
  assert.not.match(wrong.err, /11111111/)
  writeFileSync(join(folder, 'pin'), PIN)
  assert.match((await run('run')).err, /keys\.pin-doubtful .*`tieline key show --insist`/)
  assert.is((await run('key', 'show', '--insist')).exit, EXIT.ok)
  assert.is((await run('run')).exit, EXIT.ok)
})

test.run()
