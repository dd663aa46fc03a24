// Package config reads the settings the operator gave the plugin. Secrets are
// not among them: they never enter a plugin.
package config

import "signalbox.internal/signalbox/internal/host"

// Get is a setting, and whether the operator set it.
func Get(key string) (string, bool) { return host.Current().Setting(key) }

// Or is a setting, or what is to be taken where the operator did not set it.
func Or(key, otherwise string) string {
	if value, ok := Get(key); ok {
		return value
	}
	return otherwise
}

// All is every setting.
func All() map[string]string {
	all := map[string]string{}
	for _, setting := range host.Current().Settings() {
		all[setting.Name] = setting.Value
	}
	return all
}
