/** What `mint` and `purse` ask of the rest of a configuration. */
import type { SiteConfig } from './site-config.ts'
import type { Path } from './yaml.ts'

export function checkCoins(
  { mint, purse, peers }: SiteConfig,
  report: (path: Path, what: string, hint?: string) => void,
  refer: (path: Path, kind: string, name: string, table: object) => void,
): void {
  if (purse === undefined) return
  refer(['purse', 'mint'], 'peer', purse.mint, peers)
  if (mint === true) report(['purse'], 'is beside mint: true', 'one account would sign coins and take them')
}
