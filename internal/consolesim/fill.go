package consolesim

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

func (f *departmentSeeder) queue(i int) {
	names := []string{"Day shift", "夜班机器人组", "High priority", "共享机器人池", "Unattended", "测试组", "ERP", "税务专用"}
	name := names[i%len(names)]
	if f.plan.chinese && !f.plan.english {
		name = []string{"夜班机器人组", "共享机器人池", "测试组", "税务专用"}[i%4]
	} else if !f.plan.chinese {
		name = []string{"Day shift", "High priority", "Unattended", "ERP"}[i%4]
	}
	q := Queue{Meta: f.next(fmt.Sprintf("%s %02d", name, i+1), i, f.n.queues)}
	q.Description = "Robots of " + f.dept.Name
	q.Tags = []string{[]string{"day", "night", "shared"}[i%3]}
	q.Properties = map[string]string{"shift": q.Tags[0]}
	f.queues = append(f.queues, f.st.queues.load(q))
}

func (f *departmentSeeder) robot(i int) {
	r := Robot{Meta: f.next(fmt.Sprintf("RPA-%s-%03d", strings.ToUpper(f.dept.ID[:4]), i+1), i, f.n.robots)}
	r.Description = []string{"Virtual desktop", "机房工作站", "Finance workstation"}[i%3]
	r.Tags = []string{[]string{"win10", "win11", "server2022"}[i%3]}
	r.hash = hash64(r.ID)
	if i%17 != 16 {
		r.DeviceID = f.id()
	}
	r.SDKVersion = fmt.Sprintf("4.%d.%d", f.between(1, 6), f.between(100, 900))
	r.Version = fmt.Sprintf("2022.%d.%d", f.between(1, 12), f.between(10, 99))
	r.CanUpgrade = f.chance(30)
	r.LicenseStatus = licenseStatuses[[]int{2, 2, 1, 3, 2, 0}[i%6]]
	r.ClientSKU = []string{"Unattended", "Attended", "Developer"}[i%3]
	r.Listening = []int64{int64(i % 3)}
	r.ClientSecret = "rcs_" + f.hex(20)
	r.ConnectionString = "HostName=robots.example.net;DeviceId=" + r.ID + ";SharedAccessKey=" + f.hex(24)
	r.LicensePoolKey = "lpk_" + f.hex(16)
	r.QueueIDs = []string{f.queues[i%len(f.queues)].v.ID}
	f.queues[i%len(f.queues)].v.RobotCount++
	if other := (i + 7) % len(f.queues); i%5 == 0 && other != i%len(f.queues) {
		r.QueueIDs = append(r.QueueIDs, f.queues[other].v.ID)
		f.queues[other].v.RobotCount++
	}
	f.st.robots.load(r)
	f.robotIDs = append(f.robotIDs, r.ID)
}

func (f *departmentSeeder) pack(i int) {
	name, proc := f.title(i)
	if i%3 == 0 {
		name = code(proc)
		if i >= len(f.processes) {
			name += fmt.Sprintf("_%d", i)
		}
	}
	p := Package{Meta: f.next(name, i, f.n.packages)}
	p.Description, p.FullDescription = proc.description, proc.description+". Runs unattended; needs access to the ERP and to the mailbox."
	p.Tags = []string{proc.tag}
	if i%4 != 3 {
		p.IconURL = "/static/icons/" + proc.tag + ".svg"
	}
	versions := 1 + (i*5+2)%6
	for v := range versions {
		pv := PackageVersion{
			Meta: p.Meta, Version: fmt.Sprintf("1.%d.%d", v, (i+v)%4), Arguments: f.sets[i%len(f.sets)],
			TotalDownloads: int64(f.between(0, 500)), HashValue: f.hex(32), RunAsAdmin: f.chance(10),
		}
		pv.ID, pv.ETag = f.id(), f.etag()
		pv.CreatedAt = p.CreatedAt.Add(time.Duration(v) * 9 * 24 * time.Hour)
		pv.UploadedAt = pv.CreatedAt
		pv.ModifiedAt, pv.ModifiedBy, pv.ModifiedByName = time.Time{}, "", ""
		pv.Description = []string{"First release", "Fixes for new portal layout", "支持批量处理", "Faster", "异常重试", "Security fixes"}[v]
		pv.FullDescription = pv.Description + ": " + proc.description
		p.TotalDownloads += pv.TotalDownloads
		p.Versions = append(p.Versions, pv)
	}
	f.packages = append(f.packages, f.st.packages.load(p))
}

// workflow creates the department's i-th workflow. The newest 50 have different packages, up
// to 50, and different queues, up to 20. Each has two or three robots.
func (f *departmentSeeder) workflow(i int) {
	k := f.n.workflows - 1 - i
	name, proc := f.title(i)
	w := Workflow{Meta: f.next(name, i, f.n.workflows)}
	w.Description, w.Tags = proc.description, []string{proc.tag, []string{"daily", "monthly", "on-demand"}[i%3]}
	w.Properties = map[string]string{"owner": w.CreatedByName, "sla": []string{"4h", "1d", "none"}[i%3]}

	p := f.packages[k%len(f.packages)]
	version := len(p.v.Versions) - 1
	if k%3 == 2 {
		version = 0 // leaves something to upgrade
	}
	w.deploy(&p.v, &p.v.Versions[version])
	w.Arguments = p.v.Versions[version].Arguments

	queues := len(f.queues)
	if k < 50 {
		queues = min(queues, 20)
	}
	if f.main || k%4 != 3 {
		w.QueueID = f.queues[k%queues].v.ID
	}
	w.RobotIDs = pick(f.robotIDs, k*3, 2+k%2)

	w.Priority = []int64{2000, 1000, 3500, 5000, 0}[i%5]
	w.MaxRetryCount = int64(i % 4)
	w.VideoRecordMode = videoRecordModes[i%len(videoRecordModes)]
	w.TriggerPolicy = triggerPolicies[i%2]
	if i%3 == 0 {
		w.Notification = &JobStateNotification{
			SwitchOn: true, JustLast: i%2 == 0, Conditions: []string{"Finished", "Running"},
			Recipients: []string{last(f.people).mail + "@example.com", f.people[i%len(f.people)].mail + "@example.com"},
		}
	}
	if i%6 != 5 {
		w.TriggeredCount = int64(f.between(1, 900))
		w.LastTriggeredAt = w.CreatedAt.Add(time.Duration(f.between(60, 30*24*60)) * time.Minute)
	}
	f.workflows = append(f.workflows, f.st.workflows.load(w))
}

func (f *departmentSeeder) layout(i int) {
	names := []string{"Month-end close", "日终处理", "Procure to pay", "订单到收款", "Quarterly filing", "新员工全流程"}
	if f.plan.chinese && !f.plan.english {
		names = []string{"日终处理", "订单到收款", "新员工全流程"}
	} else if !f.plan.chinese {
		names = []string{"Month-end close", "Procure to pay", "Quarterly filing"}
	}
	l := Layout{Meta: f.next(names[i%len(names)], i, f.n.layouts)}
	if i >= len(names) {
		l.Name += fmt.Sprintf(" (%d)", i/len(names)+1)
	}
	l.Description, l.Tags = "Runs its workflows one after the other", []string{"orchestration"}
	l.Properties = map[string]string{"calendar": "workdays"}
	for n := range min(2+i%4, len(f.workflows)) {
		w := f.workflows[(i*5+n)%len(f.workflows)]
		node := LayoutNode{Meta: f.next(w.v.Name, i, f.n.layouts), Index: n, WorkflowID: w.v.ID, Arguments: w.v.Arguments}
		node.Description, node.Tags = w.v.Description, slices.Clone(w.v.Tags)
		l.Nodes = append(l.Nodes, node)
	}
	if i%3 != 2 {
		l.TriggeredCount = int64(f.between(1, 200))
		l.LastTriggeredAt = l.CreatedAt.Add(time.Duration(f.between(60, 20*24*60)) * time.Minute)
	}
	f.st.layouts.load(l)
}
