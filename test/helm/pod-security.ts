/**
 * Pod Security "restricted" (https://kubernetes.io/docs/concepts/security/pod-security-standards/), of which a server only warns on a
 * Deployment, and what the public checkers ask besides. Looks at pods.
 */
import { containersOf, type Manifest } from './chart.ts';

const ALLOWED_VOLUMES = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
];

/** @returns what the standard refuses; empty when it admits the pod. */
export function violationsOf(spec: Manifest): string[] {
  const found: string[] = [];
  const pod = spec.securityContext ?? {};
  const unless = (isFine: boolean, what: string) => {
    if (!isFine) found.push(what);
  };
  for (const name of ['hostNetwork', 'hostPID', 'hostIPC']) unless(spec[name] !== true, name);
  for (const volume of spec.volumes ?? []) {
    const kinds = Object.keys(volume).filter((key) => key !== 'name');
    unless(
      kinds.every((kind) => ALLOWED_VOLUMES.includes(kind)),
      `volume ${volume.name}: ${kinds.join()}`,
    );
  }
  unless((pod.sysctls ?? []).length === 0, 'sysctls');
  for (const container of containersOf(spec)) {
    const own = container.securityContext ?? {};
    const say = (isFine: boolean, what: string) => unless(isFine, `${container.name}: ${what}`);
    say(own.privileged !== true, 'privileged');
    say(own.allowPrivilegeEscalation === false, 'allowPrivilegeEscalation');
    say((own.runAsNonRoot ?? pod.runAsNonRoot) === true, 'runAsNonRoot');
    say((own.runAsUser ?? pod.runAsUser) !== 0, 'runAsUser 0');
    say(['RuntimeDefault', 'Localhost'].includes((own.seccompProfile ?? pod.seccompProfile)?.type), 'seccompProfile');
    say(own.capabilities?.drop?.includes('ALL') === true, 'capabilities.drop');
    say(
      (own.capabilities?.add ?? []).every((name: string) => name === 'NET_BIND_SERVICE'),
      'capabilities.add',
    );
    say((own.procMount ?? 'Default') === 'Default', 'procMount');
    say(own.seLinuxOptions === undefined && own.windowsOptions === undefined, 'seLinuxOptions');
    say(
      (container.ports ?? []).every((port: Manifest) => (port.hostPort ?? 0) === 0),
      'hostPort',
    );
  }
  return found;
}

/** @returns what kube-linter, Polaris, kubesec or Checkov would note. */
export function bestPracticesMissing(spec: Manifest): string[] {
  const found: string[] = [];
  if (spec.automountServiceAccountToken !== false) found.push('automountServiceAccountToken');
  if (spec.enableServiceLinks !== false) found.push('enableServiceLinks');
  for (const container of containersOf(spec)) {
    const say = (isFine: boolean, what: string) => {
      if (!isFine) found.push(`${container.name}: ${what}`);
    };
    const own = container.securityContext ?? {};
    say(own.readOnlyRootFilesystem === true, 'readOnlyRootFilesystem');
    say(own.runAsUser >= 10_000 && own.runAsGroup >= 10_000, 'a user id that no host has');
    say(container.resources?.requests?.cpu !== undefined, 'CPU request');
    say(container.resources?.requests?.memory !== undefined, 'memory request');
    say(container.resources?.limits?.memory !== undefined, 'memory limit');
    say(container.resources?.limits?.cpu === undefined, 'no CPU limit: throttling shows as 100 ms tails');
    say(/:(?!latest$)[^/]+$|@sha256:/.test(container.image), 'a fixed image');
    say(
      (container.env ?? []).every((each: Manifest) => !/PASSWORD|TOKEN|SECRET|KEY/i.test(each.name)),
      'no secret in env',
    );
    // What is written is memory or a volume that says how much it may take.
    for (const volume of spec.volumes ?? [])
      say(volume.emptyDir === undefined || volume.emptyDir.sizeLimit !== undefined, `sizeLimit of ${volume.name}`);
  }
  return found;
}
