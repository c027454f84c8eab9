package kubernetes

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
)

// ownership selects what is stead's, of this project.
func (r *Runtime) ownership() string {
	return labelManagedBy + "=" + manager + "," + labelProject + "=" + labelValue(r.project)
}

// listed are the objects of a kind with some labels.
func listed(ctx context.Context, c kubernetes.Interface, namespace, kind, labels string) ([]metav1.Object, error) {
	o := metav1.ListOptions{LabelSelector: labels}
	var list k8sruntime.Object
	var err error
	switch kind {
	case "Deployment":
		list, err = c.AppsV1().Deployments(namespace).List(ctx, o)
	case "Job":
		list, err = c.BatchV1().Jobs(namespace).List(ctx, o)
	case "Service":
		list, err = c.CoreV1().Services(namespace).List(ctx, o)
	case "ConfigMap":
		list, err = c.CoreV1().ConfigMaps(namespace).List(ctx, o)
	case "Secret":
		list, err = c.CoreV1().Secrets(namespace).List(ctx, o)
	case "ServiceAccount":
		list, err = c.CoreV1().ServiceAccounts(namespace).List(ctx, o)
	case "PersistentVolumeClaim":
		list, err = c.CoreV1().PersistentVolumeClaims(namespace).List(ctx, o)
	case "PodDisruptionBudget":
		list, err = c.PolicyV1().PodDisruptionBudgets(namespace).List(ctx, o)
	}
	if err != nil {
		return nil, err
	}
	var objects []metav1.Object
	err = meta.EachListItem(list, func(one k8sruntime.Object) error {
		o, err := meta.Accessor(one)
		objects = append(objects, o)
		return err
	})
	return objects, err
}
