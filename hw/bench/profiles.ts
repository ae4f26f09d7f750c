/** `--profiles DIR`: loads and generation of the sites that have a file there. */
import { readTextFile } from '../../drivers/text-file.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import { readProfile, type SiteProfile } from '../sim/profile.ts'

/** By site; one without a file `<site>.csv` keeps what is generated for it. A folder without any is a fault. */
export async function readProfiles(
  folder: string,
  sites: readonly string[],
): Promise<Result<ReadonlyMap<string, SiteProfile>>> {
  const profiles = new Map<string, SiteProfile>()
  for (const site of sites) {
    const file = `${folder}/${site}.csv`
    const text = await readTextFile(file)
    if (!text.ok && text.fault.code === 'file.missing') continue
    if (!text.ok) return text
    const profile = readProfile(text.value, file)
    if (!profile.ok) return profile
    profiles.set(site, profile.value)
  }
  if (profiles.size > 0) return ok(profiles)
  const hint = `put at least one of ${sites.map(site => `${site}.csv`).join(', ')} there`
  return fail({ code: 'profile.none', folder, hint })
}
