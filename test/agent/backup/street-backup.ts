/** A site of a simulated street, its disks as folders of this machine, and a backup of it that is put back. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { backUp, keyFiles } from '../../../agent/backup/backup.ts'
import { restore } from '../../../agent/backup/restore.ts'
import { siteOf } from '../../../agent/cli/site-file.ts'
import { systemEntropy } from '../../../drivers/crypto/entropy.ts'
import { makeKeyFile } from '../../../drivers/keys/file-signer.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import type { SimPorts } from '../../../hw/sim/sim-ports.ts'
import { must, ok } from '../../../protocol/result.ts'
import { smallSite } from '../small-site.ts'

const KEYS = 'account: keys/account, metering: keys/metering, sealing: keys/sealing'

/** The simulated disks of the site as folders of this machine. */
export async function dump(ports: SimPorts, site: string, into: string): Promise<string> {
  for (const [path, disk] of ports.sites.get(site)!.disks) {
    const mounted = disk.mount()
    const folder = join(into, path.replace(/^[^/]*\//, ''))
    mkdirSync(folder, { recursive: true })
    for (const file of must(await awaited(ports.time, mounted.list())))
      writeFileSync(join(folder, file), must(await awaited(ports.time, mounted.read(file))))
  }
  return into
}

/** The other way round: what the site finds at its next start. */
export async function load(ports: SimPorts, site: string, from: string): Promise<void> {
  for (const [path, disk] of ports.sites.get(site)!.disks) {
    const mounted = disk.mount()
    for (const file of must(await awaited(ports.time, mounted.list())))
      must(await awaited(ports.time, mounted.remove(file)))
    const source = join(from, path.replace(/^[^/]*\//, ''))
    for (const file of readdirSync(source).filter(file => !file.startsWith('.')))
      must(await awaited(ports.time, mounted.replace(file, readFileSync(join(source, file)))))
  }
}

/** Of the site that has ended: its data in `folder`/data. What restores it into another folder. */
export async function backUpSite(ports: SimPorts, site: string, folder: string) {
  mkdirSync(folder, { recursive: true })
  const configFile = join(folder, 'config.yaml')
  writeFileSync(configFile, smallSite(`{${KEYS}}`).replace('site: maple', `site: ${site}`))
  for (const [use, kind] of [
    ['account', 'ed25519'],
    ['metering', 'ed25519'],
    ['sealing', 'x25519'],
  ] as const)
    must(await makeKeyFile(join(folder, 'keys', use), kind, 'a passphrase of the test', systemEntropy))
  await dump(ports, site, join(folder, 'data'))
  const archive = join(folder, 'backup.tar.gz')
  const config = siteOf(readFileSync(configFile, 'utf8'), configFile)!
  const made = must(await backUp({ config, configFile, out: archive, now: ports.time.clock.now(), version: 'test' }))
  const restoreInto = (into: string) =>
    restore({
      archive,
      dryRun: false,
      replace: false,
      placesOf: text => {
        const found = siteOf(text, configFile)!
        const keys = Object.fromEntries(keyFiles(found).map(([use]) => [use, join(into, use)]))
        return ok({ site: found.site, config: join(into, 'config.yaml'), data: join(into, 'data'), keys })
      },
      world: { clock: ports.time.clock, timers: ports.time.timers, entropy: systemEntropy },
    })
  return { made, configFile, restoreInto }
}
