/** A configuration in a folder of its own, for a page that shows and changes it. */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { COMMENTED } from '../config/commented-site.ts'

export function configFile() {
  const folder = mkdtempSync(`${tmpdir()}/tieline-page-`)
  const file = `${folder}/config.yaml`
  writeFileSync(file, COMMENTED)
  chmodSync(file, 0o660)
  return {
    file,
    text: () => readFileSync(file, 'utf8'),
    write: (text: string) => writeFileSync(file, text),
    remove: () => rmSync(folder, { recursive: true }),
  }
}
